// What containers meet when the upstream is dead, slow or flooded; coold's DNS is on addresses of loopback.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { answerWith, askedName, askFor, directoryOf } from '../../../test/dns-questions.ts';
import { startScriptedUpstream } from '../../../test/scripted-upstream.ts';
import { dig, dnsPort as port, serveDns, ways } from '../../../test/serve-dns.ts';

/** Of loopback, so that runs side by side do not meet. */
const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
const directory = directoryOf({ 'web.shop': ['10.210.0.5'], 'web.default': ['10.210.0.6'] });

/** Asks for many names at once from one socket. @returns the codes, as they come, by the number of the name */
async function askMany(address: string, names: readonly string[], from?: string) {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  if (from !== undefined) {
    socket.bind(0, from);
    await once(socket, 'listening');
  }
  const codes = new Map<number, number>();
  socket.on('message', answer => codes.set(answer.readUInt16BE(0), answer.readUInt8(3) & 15));
  for (const [index, name] of names.entries()) {
    const query = askFor(name, 1);
    query.writeUInt16BE(index, 0);
    await new Promise(sent => socket.send(query, port, address, sent));
  }
  return { codes, [Symbol.dispose]: () => void socket.close() };
}

describe.each(ways)('with $threads threads, by $io', way => {
  const start = (options: Omit<Parameters<typeof serveDns>[0], 'directory'>) =>
    serveDns({ directory, ...way, ...options });

  it('a namespace that floods a dead zone takes nothing from its neighbour', async () => {
    const [shop, blog] = [`${net}.10`, `${net}.11`];
    await using there = await startScriptedUpstream(`${net}.12`, query =>
      askedName(query).endsWith('\x04dead\x04test\0') ? undefined : answerWith(query, 0),
    );
    await using served = await start({ addresses: { shop, blog }, upstreams: [there.address] });
    // Five seconds of 600 questions a second, all waiting at once.
    using flood = await askMany(
      shop,
      Array.from({ length: 3000 }, (_, index) => `n${index}.dead.test`),
    );
    await soon(() => expect(served.dns.stats().forwardErrors).toBeGreaterThan(1000));
    using neighbour = await askMany(
      blog,
      Array.from({ length: 200 }, (_, index) => `n${index}.alive.test`),
    );
    await soon(() => expect(neighbour.codes.size).toBe(200));
    expect([...neighbour.codes.values()].filter(code => code !== 0)).toEqual([]);
    expect(flood.codes.values().every(code => code === 2)).toBe(true);
  });

  it('a name of a namespace without the zone is answered at once, and the upstream does not see it', async () => {
    await using dead = await startScriptedUpstream(`${net}.22`, () => undefined);
    const address = `${net}.20`;
    await using served = await start({ addresses: { default: address }, upstreams: [dead.address] });
    const begunAt = performance.now();
    const found = await dig(address, 'web.default');
    expect([found.status, found.records[0]?.at(-1)]).toEqual(['NOERROR', '10.210.0.6']);
    expect(await dig(address, 'web.default', 'AAAA')).toMatchObject({ status: 'NOERROR', records: [] });
    const { status, flags } = await dig(address, 'nosuch.Default.');
    expect(status).toBe('NXDOMAIN');
    expect(flags).not.toContain('aa');
    expect(performance.now() - begunAt).toBeLessThan(2000);
    expect(dead.queries).toEqual([]);
    expect(served.dns.stats().forwarded).toBe(0);
    expect(await served.dns.lookUp('web.default')).toMatchObject({
      inZone: false,
      rcode: 'NOERROR',
      answers: [{ address: '10.210.0.6' }],
    });
    expect(await served.dns.lookUp('nosuch.default')).toMatchObject({ inZone: false, rcode: 'NXDOMAIN' });
  });

  it('an upstream that answers in 2.5 s is not SERVFAIL', async () => {
    await using slow = await startScriptedUpstream(`${net}.32`, (query, reply) => {
      setTimeout(reply, 2500, answerWith(query, 60));
      return undefined;
    });
    const address = `${net}.30`;
    await using served = await start({ addresses: { shop: address }, upstreams: [slow.address] });
    const { status, records } = await dig(address, 'example.com');
    expect([status, records[0]?.at(-1)]).toEqual(['NOERROR', '192.0.2.7']);
    expect(served.dns.stats()).toMatchObject({ forwarded: 1, forwardErrors: 0 });
  });
});
