// Upstreams that answer nothing, or with our own question; coold's DNS is on addresses of loopback.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { soon } from '@coold/testbed/soon';
import { Packet } from 'dns2';
import { describe, expect, it } from 'vitest';
import { askFor, directoryOf } from '../../../test/dns-questions.ts';
import { overTcp, overUdp, dnsPort as port, serveDns, ways } from '../../../test/serve-dns.ts';

/** Of loopback, so that runs side by side do not meet. */
const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
const directory = directoryOf({ 'web.shop': ['10.210.0.5', '10.210.0.6'] });

describe.each(ways)('with $threads threads, by $io', way => {
  const start = (options: Omit<Parameters<typeof serveDns>[0], 'directory'>) =>
    serveDns({ directory, ...way, ...options });

  it('in-zone answers go on while the upstream is a black hole and a thousand queries hang on it', async () => {
    const hole = createSocket('udp4');
    hole.bind(0, '127.0.0.1');
    await once(hole, 'listening');
    await using stuck = await start({
      addresses: { shop: `${net}.20` },
      upstreams: [{ host: '127.0.0.1', port: hole.address().port }],
    });
    const socket = createSocket('udp4');
    const seen = new Map<number, number>();
    socket.on('message', answer => seen.set(answer.readUInt16BE(0), answer.readUInt8(3) & 15));
    const hanging = Array.from({ length: 1000 }, (_, index) => {
      const query = askFor('example.com', 1);
      query.writeUInt16BE(index, 0);
      return query;
    });
    for (const query of hanging) await new Promise(sent => socket.send(query, port, `${net}.20`, sent));
    await soon(() => expect(stuck.dns.stats().forwarded).toBe(1000), { timeout: 10_000, interval: 5 });
    const [inZone, oneMore] = [askFor('web.shop.coolify.internal', 1), askFor('example.com', 1)];
    inZone.writeUInt16BE(5000, 0);
    oneMore.writeUInt16BE(5001, 0);
    socket.send(inZone, port, `${net}.20`);
    socket.send(oneMore, port, `${net}.20`);
    await soon(() => expect([seen.get(5000), seen.get(5001)]).toEqual([0, 2]), {
      timeout: 10_000,
      interval: 5,
    });
    // In the end every one of them is told; that all arrive at once is more than a socket here can hold.
    await soon(() => expect(stuck.dns.stats().byRcode.get('SERVFAIL')).toBe(1001));
    expect(stuck.dns.stats()).toMatchObject({ forwarded: 1000, forwardErrors: 1001 });
    socket.close();
    hole.close();
  });

  it.each(['udp', 'tcp'])(
    'what the upstream does not answer is SERVFAIL to its question, over %s',
    async how => {
      const address = `${net}.${how === 'udp' ? 60 : 61}`;
      await using alone = await start({ addresses: { shop: address } });
      const ask = how === 'udp' ? overUdp : overTcp;
      // The second comes when the first has told that nobody is there.
      for (let count = 0; count < 2; count += 1) {
        const query = askFor('Example.com', 1, 1232);
        const answer = await ask(address, query);
        expect(answer.readUInt16BE(0)).toBe(query.readUInt16BE(0));
        const { header, questions } = Packet.parse(answer);
        expect([header.rcode, questions[0]?.name]).toEqual([2, 'Example.com']);
      }
      expect(alone.dns.stats()).toMatchObject({ queries: 2, forwarded: 2, forwardErrors: 2 });
    },
  );

  it('an upstream that leads back here does not cause an endless loop', async () => {
    const address = `${net}.30`;
    await using looping = await start({ addresses: { shop: address }, upstreams: [{ host: address, port }] });
    const answer = await overUdp(address, askFor('example.com', 1));
    expect(Packet.parse(answer).header.rcode).toBe(2);
    expect(looping.dns.stats()).toMatchObject({ queries: 2, forwarded: 1 });
  });
});
