import { randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Address } from '@coold/runtime';
import { ipv4Number } from '@coold/udp-io';
import { kinds, udpHere } from '@coold/udp-io/testing';
import { describe, expect, it, vi } from 'vitest';
import { askFor } from '../../../test/dns-questions.ts';
import { createMessageReader, framed } from '../tcp-frames.ts';
import { createForwarder, type ForwarderOptions } from './forwarder.ts';
import { placeUpstreams } from './upstream-health.ts';

// The upstream is scripted: no resolver can be brought to send what an attacker would, or to lose a packet when told.

/** Of loopback and of nobody else, so that the port is free for TCP too. */
const host = `127.${randomInt(1, 255)}.${randomInt(256)}.9`;

/** An upstream that does with every query what it is told. */
async function upstream(onQuery: (query: Buffer, from: RemoteInfo, socket: Socket) => void) {
  const socket = createSocket('udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.on('message', (query, from) => onQuery(query, from, socket));
  return {
    address: { host, port },
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

type Options = Omit<ForwarderOptions, 'upstreams'> & { upstream: Address };

/** A forwarder whose answers are kept, and which leaves the caller its query. */
function forwarderOf({ upstream: address, ...options }: Options, end = () => {}) {
  const forwarder = createForwarder({ ...options, upstreams: placeUpstreams([address]) });
  return {
    ask: (query: Buffer, transport: 'udp' | 'tcp') =>
      new Promise<Buffer | undefined>(done =>
        forwarder.ask(Buffer.from(query), transport, answer => done(answer && Buffer.from(answer))),
      ),
    isOwn: (address: number, port: number) => forwarder.isOwn(address, port),
    stats: () => forwarder.stats(),
    [Symbol.dispose]() {
      forwarder.close();
      end();
    },
  };
}

/** As the threads ask. */
function threadForwarder(kind: 'ffi' | 'node') {
  return (options: Options) => {
    const udp = udpHere(kind);
    return forwarderOf({ ...options, connect: udp.connect }, () => udp[Symbol.dispose]());
  };
}

/** The query as an answer, with these header bytes. */
function answerTo(query: Buffer, flags = 0x8180): Buffer {
  const answer = Buffer.from(query);
  answer.writeUInt16BE(flags, 2);
  return answer;
}

const query = askFor('Example.com', 1);
const id = query.readUInt16BE(0);

describe.each([
  { way: 'the main thread', forwarder: (options: Options) => forwarderOf(options) },
  ...kinds.map(kind => ({ way: `a thread by ${kind}`, forwarder: threadForwarder(kind) })),
])('the forwarder, by way of $way', ({ forwarder }) => {
  it('passes on query and answer unchanged, with rcode and truncation', async () => {
    for (const flags of [0x8180, 0x8183, 0x8182, 0x8380]) {
      let seen: Buffer | undefined;
      await using there = await upstream((packet, from, socket) => {
        seen = packet;
        socket.send(answerTo(packet, flags), from.port, from.address);
      });
      using asking = forwarder({ upstream: there.address });
      expect(await asking.ask(query, 'udp')).toEqual(answerTo(query, flags));
      expect(seen?.subarray(2)).toEqual(query.subarray(2));
      expect(asking.stats()).toEqual({ forwarded: 1, errors: 0, waiting: 0 });
    }
  });

  it('asks under other ids and from several ports', async () => {
    const ids = new Set<number>();
    const ports = new Set<number>();
    await using there = await upstream((packet, from, socket) => {
      ids.add(packet.readUInt16BE(0));
      ports.add(from.port);
      socket.send(answerTo(packet), from.port, from.address);
    });
    using asking = forwarder({ upstream: there.address });
    const answers = await Promise.all(Array.from({ length: 200 }, () => asking.ask(query, 'udp')));
    expect(answers.every(answer => answer?.readUInt16BE(0) === id)).toBe(true);
    expect(ids.size).toBeGreaterThan(150);
    expect(ports.size).toBeGreaterThan(4);
  });

  it('takes no answer but the one to its question, from whom it asked', async () => {
    await using stranger = await upstream(() => {});
    const attacker = createSocket('udp4');
    await using there = await upstream(async (packet, from, socket) => {
      const forged = answerTo(packet, 0x8183);
      await new Promise(sent => attacker.send(forged, from.port, from.address, sent));
      const send = (message: Buffer) => socket.send(message, from.port, from.address);
      const otherId = Buffer.from(forged);
      otherId.writeUInt16BE((packet.readUInt16BE(0) + 1) & 0xffff, 0);
      send(otherId);
      const otherName = Buffer.from(forged);
      otherName[14] = 'z'.charCodeAt(0);
      send(otherName);
      const otherType = Buffer.from(forged);
      otherType[forged.length - 3] = 28;
      send(otherType);
      send(packet); // no answer at all
      send(Buffer.alloc(0));
      send(forged.subarray(0, 14));
      send(answerTo(packet));
    });
    using asking = forwarder({ upstream: there.address });
    expect(await asking.ask(query, 'udp')).toEqual(answerTo(query));
    attacker.close();
    expect(stranger.address.port).not.toBe(there.address.port);
  });

  it('asks again when a packet is lost', async () => {
    let count = 0;
    await using there = await upstream((packet, from, socket) => {
      count += 1;
      if (count === 2) socket.send(answerTo(packet), from.port, from.address);
    });
    using asking = forwarder({ upstream: there.address, timeoutMs: 1000 });
    expect(await asking.ask(query, 'udp')).toEqual(answerTo(query));
  });

  it('gives up in the end, and at once where nothing listens', async () => {
    await using silent = await upstream(() => {});
    using waiting = forwarder({ upstream: silent.address, timeoutMs: 50 });
    expect(await waiting.ask(query, 'udp')).toBeUndefined();
    expect(waiting.stats()).toEqual({ forwarded: 1, errors: 1, waiting: 0 });

    const gone = await upstream(() => {});
    await gone[Symbol.asyncDispose]();
    // Would be a test's timeout, if it were waited for.
    using refused = forwarder({ upstream: gone.address, timeoutMs: 600_000 });
    expect(await refused.ask(query, 'udp')).toBeUndefined();
  });

  it.each(['udp', 'tcp'] as const)('gives up at once where no way leads, asked over %s', async transport => {
    // The kernel connects no socket to it that did not ask to broadcast, as it connects none to where no route leads.
    using lost = forwarder({ upstream: { host: '255.255.255.255', port: 53 }, timeoutMs: 600_000 });
    for (const errors of [1, 2]) {
      expect(await lost.ask(query, transport)).toBeUndefined();
      expect(lost.stats()).toEqual({ forwarded: errors, errors, waiting: 0 });
    }
  });

  it('lets only so many wait; one more is given up at once', async () => {
    await using silent = await upstream(() => {});
    using asking = forwarder({ upstream: silent.address, timeoutMs: 600_000, maxWaiting: 3 });
    for (let count = 0; count < 3; count += 1) void asking.ask(query, 'udp');
    expect(await asking.ask(query, 'udp')).toBeUndefined();
    expect(asking.stats()).toEqual({ forwarded: 3, errors: 1, waiting: 3 });
  });

  it('knows its own queries when they come back', async () => {
    const seen = Promise.withResolvers<RemoteInfo>();
    await using there = await upstream((_packet, from) => seen.resolve(from));
    using asking = forwarder({ upstream: there.address, timeoutMs: 200 });
    const answer = asking.ask(query, 'udp');
    const { address, port } = await seen.promise;
    expect(asking.isOwn(ipv4Number(address), port)).toBe(true);
    expect(asking.isOwn(ipv4Number(address), there.address.port)).toBe(false);
    await answer;
  });

  it('gets what does not fit into UDP over TCP, for who came over TCP', async () => {
    await using there = await upstream((packet, from, socket) =>
      socket.send(answerTo(packet, 0x8380), from.port, from.address),
    );
    const whole = (packet: Buffer) => Buffer.concat([answerTo(packet), Buffer.alloc(2000)]);
    const server = createServer(socket => {
      socket.on('error', () => {});
      socket.on(
        'data',
        createMessageReader(packet => {
          const answer = framed(whole(packet));
          // A forged one first, then the right one in two pieces.
          const forged = answerTo(packet, 0x8183);
          forged.writeUInt16BE((packet.readUInt16BE(0) + 1) & 0xffff, 0);
          socket.write(framed(forged));
          socket.write(answer.subarray(0, 100));
          setImmediate(() => socket.write(answer.subarray(100)));
        }),
      );
    });
    await new Promise<void>(resolve => server.listen(there.address.port, host, resolve));
    using asking = forwarder({ upstream: there.address });
    expect(await asking.ask(query, 'tcp')).toEqual(whole(query));
    expect(await asking.ask(query, 'udp')).toEqual(answerTo(query, 0x8380));
    server.close();
    // Without TCP there, the client is told so instead of being given half.
    expect(await asking.ask(query, 'tcp')).toBeUndefined();
  });

  it('opens new sockets in place of those that have served long', async () => {
    const ports = new Set<number>();
    await using there = await upstream((packet, from, socket) => {
      ports.add(from.port);
      socket.send(answerTo(packet), from.port, from.address);
    });
    using asking = forwarder({ upstream: there.address });
    for (let round = 0; round < 100; round += 1) {
      const answers = await Promise.all(Array.from({ length: 200 }, () => asking.ask(query, 'udp')));
      expect(answers).not.toContain(undefined);
    }
    // 20,000 queries, 16 sockets at a time.
    expect(ports.size).toBeGreaterThan(24);
  });
});

it('has counted what it answers', async () => {
  await using there = await upstream(() => {});
  const forwarder = createForwarder({ upstreams: placeUpstreams([there.address]), timeoutMs: 20 });
  const stats = await new Promise(seen =>
    forwarder.ask(Buffer.from(query), 'udp', () => seen(forwarder.stats())),
  );
  expect(stats).toEqual({ forwarded: 1, errors: 1, waiting: 0 });
  forwarder.close();
});

describe('while no route leads to the upstream', () => {
  it('nothing is kept of a question, however many are asked', () => {
    vi.useFakeTimers();
    try {
      const forwarder = createForwarder({
        upstreams: placeUpstreams([{ host: '192.0.2.1', port: 53 }]),
        // A fake: what the test's own machine has routes to is not known.
        connect: (_upstream, { onError }) => {
          onError(false);
          return { send() {}, close() {} };
        },
      });
      const answers: unknown[] = [];
      for (let count = 0; count < 100; count += 1)
        forwarder.ask(Buffer.from(query), 'udp', answer => void answers.push(answer));
      expect(answers).toEqual(Array(100).fill(undefined));
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
