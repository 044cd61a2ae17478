// Several upstreams of which some die, come back, refuse or lie; coold's DNS is on addresses of loopback.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder, startDnsmasq } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { UDPClient } from 'dns2';
import { describe, expect, it } from 'vitest';
import { answerWith, directoryOf } from '../../../test/dns-questions.ts';
import { startScriptedUpstream } from '../../../test/scripted-upstream.ts';
import { dig, dnsPort, serveDns, ways } from '../../../test/serve-dns.ts';

/** Of loopback, so that runs side by side do not meet. */
const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
const directory = directoryOf({});

/** A log that is read. */
function readableLog(): { log: Logger; messages: string[] } {
  const messages: string[] = [];
  const take = (...args: unknown[]) => void messages.push(String(args.at(-1)));
  const silent = createLogger('coold', { level: 'off', components: new Map() }, false);
  return { log: { ...silent, info: take, warn: take, error: take }, messages };
}

describe.each(ways)('with $threads threads, by $io', way => {
  const start = (options: Omit<Parameters<typeof serveDns>[0], 'directory'>) =>
    serveDns({ directory, ...way, keepUpstreams: { lookEveryMs: 20 }, ...options });

  it('one that dies is left out, said once, and asked again once it is back', async () => {
    const [shop, good] = [`${net}.1`, `${net}.2`];
    const flapping = { isAlive: true };
    await using first = await startScriptedUpstream(`${net}.3`, query =>
      flapping.isAlive ? answerWith(query, 0, [192, 0, 2, 1]) : undefined,
    );
    await using second = await startScriptedUpstream(good, query => answerWith(query, 0, [192, 0, 2, 2]));
    const { log, messages } = readableLog();
    await using served = await start({
      addresses: { shop },
      upstreams: [first.address, second.address],
      log,
    });
    const answering = () => served.dns.stats().upstreams.map(each => each.answering);
    const address = async (name: string) => (await dig(shop, name)).records[0]?.at(-1);
    for (const round of [1, 2]) {
      expect(await address(`a${round}.test`)).toBe('192.0.2.1');
      flapping.isAlive = false;
      // Late, but answered, by the other.
      expect(await address(`b${round}.test`)).toBe('192.0.2.2');
      await soon(() => expect(answering()).toEqual([false, true]));
      const begunAt = performance.now();
      expect(await address(`c${round}.test`)).toBe('192.0.2.2');
      expect(performance.now() - begunAt).toBeLessThan(1200);
      flapping.isAlive = true;
      await soon(() => expect(answering()).toEqual([true, true]));
      const said = messages.filter(message => message.includes('upstream'));
      expect(said).toEqual(
        Array.from({ length: round }, () => [
          'the upstream does not answer: it is left out until it does',
          'the upstream answers again',
        ]).flat(),
      );
    }
    expect(served.dns.stats().forwardErrors).toBe(0);
  });

  it('while all are dead, what was known is answered stale at once, by dig and dns2; the rest is SERVFAIL', async () => {
    const shop = `${net}.10`;
    const there = await startScriptedUpstream(`${net}.11`, query => answerWith(query, 1));
    const { log, messages } = readableLog();
    await using served = await start({ addresses: { shop }, upstreams: [there.address], log });
    const known = () => dig(shop, '+nocookie', 'known.test');
    expect((await known()).records[0]?.[1]).toBe('1');
    const dns2 = UDPClient({ dns: shop, port: dnsPort });
    expect((await dns2('known.test')).answers[0]?.ttl).toBe(1);
    await there[Symbol.asyncDispose]();
    await soon(async () => {
      expect((await dig(shop, 'other.test')).status).toBe('SERVFAIL');
      expect(served.dns.stats().upstreams.map(each => each.answering)).toEqual([false]);
    });
    // Which thread is asked is the kernel's choice, and each knows what it was asked for itself.
    await soon(async () => {
      const { status, records } = await known();
      expect([status, records[0]?.[1], records[0]?.at(-1)]).toEqual(['NOERROR', '30', '192.0.2.7']);
    });
    await soon(async () => {
      const [answer] = (await dns2('known.test')).answers;
      expect([answer?.ttl, answer?.address]).toEqual([30, '192.0.2.7']);
    });
    expect(served.dns.stats().stale).toBeGreaterThan(0);
    expect(messages.filter(message => message.startsWith('no upstream answers')).length).toBe(1);
    await using back = await startScriptedUpstream(
      `${net}.11`,
      query => answerWith(query, 60),
      there.address.port,
    );
    await soon(() => expect(served.dns.stats().upstreams.map(each => each.answering)).toEqual([true]));
    expect((await known()).records[0]?.[1]).toBe('60');
    expect(back.queries.length).toBeGreaterThan(0);
  });

  it('a zone that is dead makes no upstream dead', async () => {
    const shop = `${net}.20`;
    await using there = await startScriptedUpstream(`${net}.21`, query =>
      query.includes('dead') ? undefined : answerWith(query, 0),
    );
    await using served = await start({ addresses: { shop }, upstreams: [there.address] });
    await Promise.all([1, 2, 3].map(count => dig(shop, `n${count}.dead.test`)));
    expect(served.dns.stats().upstreams.map(each => each.answering)).toEqual([true]);
    // It was asked for what every resolver knows.
    expect(there.queries.some(query => query[12] === 0)).toBe(true);
  });

  it('one that refuses is not the last word where another knows', async () => {
    const [shop, other] = [`${net}.30`, `${net}.31`];
    await using cross = await startScriptedUpstream(`${net}.32`, query => {
      const refusal = Buffer.from(query);
      refusal.writeUInt16BE(0x8185, 2);
      return refusal;
    });
    await using _dnsmasq = await startDnsmasq([
      ...[`--port=${dnsPort}`, `--listen-address=${other}`, '--local=/test/', '--txt-record=long.test,long'],
      '--host-record=web.test,192.0.2.9,300',
    ]);
    const upstreams = [cross.address, { host: other, port: dnsPort }];
    await using served = await start({ addresses: { shop }, upstreams });
    expect((await dig(shop, 'web.test')).records[0]?.at(-1)).toBe('192.0.2.9');
    expect((await dig(shop, '+tcp', 'web.test')).records[0]?.at(-1)).toBe('192.0.2.9');
    const answer = await UDPClient({ dns: shop, port: dnsPort })('web.test');
    expect(answer.answers.map(({ address }) => address)).toEqual(['192.0.2.9']);
    expect((await dig(shop, 'nosuch.test')).status).toBe('NXDOMAIN');
    expect(served.dns.stats().forwardErrors).toBe(0);
  });

  it('what is forged is neither answered nor kept', async () => {
    const shop = `${net}.40`;
    const attacker = createSocket('udp4');
    await using there = await startScriptedUpstream(`${net}.41`, (query, reply, from) => {
      const forged = answerWith(query, 600, [203, 0, 113, 66]);
      // Of the right id, but not from the upstream; and from it, but of another id, or to another question.
      attacker.send(forged, from.port, from.address);
      const otherId = Buffer.from(forged);
      otherId.writeUInt16BE((query.readUInt16BE(0) + 1) & 0xffff, 0);
      reply(otherId);
      const otherName = Buffer.from(forged);
      otherName.writeUInt8(otherName.readUInt8(13) ^ 1, 13);
      reply(otherName);
      setTimeout(reply, 50, answerWith(query, 600));
      return undefined;
    });
    await using served = await start({ addresses: { shop }, upstreams: [there.address] });
    for (const args of [['bank.test'], ['+nocookie', 'bank.test'], ['+nocookie', 'bank.test']])
      expect((await dig(shop, ...args)).records.map(record => record.at(-1))).toEqual(['192.0.2.7']);
    expect(served.dns.stats().cached).toBeGreaterThanOrEqual(way.threads > 1 ? 0 : 1);
    attacker.close();
  });

  it("asks the host's own resolvers, and others once its file names others", async () => {
    await using folder = await scratchFolder();
    const shop = `${net}.50`;
    const resolvConf = { host: join(folder.path, 'resolv.conf'), behindStub: join(folder.path, 'none') };
    const at = (last: number) => [192, 0, 2, last];
    await using _one = await startScriptedUpstream(`${net}.51`, query => answerWith(query, 0, at(51)), 53);
    await using _two = await startScriptedUpstream(`${net}.52`, query => answerWith(query, 0, at(52)), 53);
    await writeFile(resolvConf.host, `nameserver ${net}.51\n`);
    await using served = await start({
      addresses: { shop },
      upstreams: ['resolv.conf'],
      keepUpstreams: { resolvConf, lookEveryMs: 10 },
    });
    expect((await dig(shop, 'a.test')).records[0]?.at(-1)).toBe('192.0.2.51');
    await writeFile(resolvConf.host, `nameserver ${shop}\nnameserver ${net}.52\n`);
    await soon(async () => expect((await dig(shop, 'a.test')).records[0]?.at(-1)).toBe('192.0.2.52'));
    expect(served.dns.stats().upstreams).toEqual([{ address: `${net}.52:53`, answering: true }]);
  });
});
