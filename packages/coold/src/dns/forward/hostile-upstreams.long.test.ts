// Upstreams that do what no good one does, and clients of coold's DNS that must not notice; on addresses of loopback.
import { randomBytes, randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { answerWith, askFor, directoryOf } from '../../../test/dns-questions.ts';
import { startScriptedUpstream } from '../../../test/scripted-upstream.ts';
import { dig, overUdp, serveDns, ways } from '../../../test/serve-dns.ts';
import { startTcpUpstream } from '../../../test/tcp-upstream.ts';
import { uint16 } from '../wire.ts';

/** Of loopback, so that runs side by side do not meet. */
const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
const directory = directoryOf({ 'web.shop': ['10.210.0.5'] });

/** The query as an answer that is so many records long. */
function longAnswer(query: Buffer, count: number): Buffer {
  const one = answerWith(query, 60);
  const end = query.indexOf(0, 12) + 5;
  const record = one.subarray(end, end + 16);
  const answer = Buffer.concat([
    one.subarray(0, end),
    ...Array<Buffer>(count).fill(record),
    one.subarray(end + 16),
  ]);
  answer.writeUInt16BE(count, 6);
  return answer;
}

/** Only the question, and that there is more. */
function truncated(query: Buffer): Buffer {
  const cut = Buffer.from(query);
  cut.writeUInt16BE(0x8380, 2);
  return cut;
}

describe.each(ways)('with $threads threads, by $io', way => {
  const start = (options: Omit<Parameters<typeof serveDns>[0], 'directory'>) =>
    serveDns({ directory, ...way, keepUpstreams: { lookEveryMs: 20 }, ...options });

  it('one that sends more than a client takes makes it come over TCP, and sends it no flood', async () => {
    const shop = `${net}.1`;
    await using there = await startScriptedUpstream(`${net}.2`, query => longAnswer(query, 200));
    await using _served = await start({ addresses: { shop }, upstreams: [there.address] });
    const bytes = 3200;
    for (const [name, udpBytes] of [
      ['plain.test', undefined],
      ['edns.test', 1232],
      // As it is kept, for the second time.
      ['plain.test', undefined],
    ] as const) {
      const answer = await overUdp(shop, askFor(name, 1, udpBytes));
      expect(answer.length, name).toBeLessThanOrEqual(udpBytes ?? 512);
      expect(uint16(answer, 2) & 0x0200, name).toBe(0x0200);
    }
    expect((await overUdp(shop, askFor('large.test', 1, 4096))).length).toBeGreaterThan(bytes);
  });

  it('one whose TCP is dead is not the last word for who needs it, where another answers', async () => {
    const [shop, host] = [`${net}.10`, `${net}.12`];
    await using half = await startScriptedUpstream(`${net}.11`, truncated);
    await using whole = await startTcpUpstream(host, query => longAnswer(query, 100));
    await using _there = await startScriptedUpstream(host, truncated, whole.address.port);
    await using _served = await start({ addresses: { shop }, upstreams: [half.address, whole.address] });
    const { status, records } = await dig(shop, '+tcp', 'long.test');
    expect([status, records.length]).toEqual(['NOERROR', 100]);
  });

  it('one that slips records of other names into an answer poisons nothing', async () => {
    const shop = `${net}.20`;
    await using there = await startScriptedUpstream(`${net}.21`, query => {
      const isBank = query.includes('bank');
      const honest = answerWith(query, 600);
      if (isBank) return honest;
      // bank.test has another address, it says, among the answers and beside them.
      const slip = Buffer.from([
        4, 98, 97, 110, 107, 4, 116, 101, 115, 116, 0, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 203, 0, 113, 66,
      ]);
      const end = query.indexOf(0, 12) + 5 + 16;
      const poisoned = Buffer.concat([honest.subarray(0, end), slip, slip, honest.subarray(end)]);
      poisoned.writeUInt16BE(2, 6);
      poisoned.writeUInt16BE(1 + uint16(honest, 10), 10);
      return poisoned;
    });
    await using _served = await start({ addresses: { shop }, upstreams: [there.address] });
    for (let round = 0; round < 3; round += 1) {
      await dig(shop, '+nocookie', 'evil.test');
      expect((await dig(shop, '+nocookie', 'bank.test')).records.map(record => record.at(-1))).toEqual([
        '192.0.2.7',
      ]);
    }
  });

  it('one that sends garbage costs its own questions alone', async () => {
    const [shop] = [`${net}.30`];
    await using there = await startScriptedUpstream(`${net}.31`, (query, reply) => {
      for (let count = 0; count < 20; count += 1) {
        const garbage = count % 2 === 0 ? randomBytes(randomInt(1, 600)) : answerWith(query, 60);
        // What begins as an answer to the question, and then is none.
        if (count % 2 === 1) randomBytes(garbage.length - 4).copy(garbage, randomInt(4, garbage.length));
        query.copy(garbage, 0, 0, Math.min(2, garbage.length));
        reply(garbage);
      }
      return undefined;
    });
    await using served = await start({ addresses: { shop }, upstreams: [there.address] });
    const asked = Array.from({ length: 50 }, (_, index) => dig(shop, '+nocookie', `g${index}.test`));
    await Promise.all(asked);
    expect((await dig(shop, 'web.shop.coolify.internal')).records[0]?.at(-1)).toBe('10.210.0.5');
    expect(served.dns.stats().listeners.every(({ bound }) => bound)).toBe(true);
  });
});
