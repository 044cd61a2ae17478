// Real sockets on loopback, in the test's own thread.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { soon } from '@coold/testbed/soon';
import { afterEach, describe, expect, it } from 'vitest';
import { createDatagramSockets } from './datagram-sockets.ts';
import { createEpollListeners } from './epoll-listener.ts';
import type { Libc } from './libc.ts';
import type { Peer, ServeQuery } from './serve-query.ts';
import { epollHere, libcHere, ownSockets } from './testing.ts';

const loopback = { host: '127.0.0.1', port: 0 };
const clientAddress = 0x7f00_0001;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0).reverse()) each.close();
});

/** Its sockets are read when the test has nothing to do. */
function listeners(libc: Libc = libcHere()) {
  const loop = epollHere();
  open.push({ close: () => loop[Symbol.dispose]() });
  const listen = createEpollListeners(libc, createDatagramSockets(libc, 1024 * 1024), loop);
  return async (serve: ServeQuery, at = loopback, isShared = false) => {
    const listener = await listen(at, serve, isShared);
    open.push(listener);
    return listener;
  };
}

async function client(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
  open.push(socket);
  const listening = once(socket, 'listening');
  socket.bind(0, '127.0.0.1');
  await listening;
  return socket;
}

const portOf = (socket: Socket) => socket.address().port;

/** Those that come, each as text. */
function received(socket: Socket, count: number): Promise<string[]> {
  const seen: string[] = [];
  return new Promise(resolve =>
    socket.on('message', message => {
      if (seen.push(message.toString()) === count) resolve(seen);
    }),
  );
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `m${index}`);
const echo: ServeQuery = (packet, _transport, _peer, reply) => reply(Buffer.from(`re:${packet.toString()}`));
const answers = (texts: string[]) => texts.map(text => `re:${text}`);

describe('what comes', () => {
  it.each([1, 2, 3, 40, 100])('is answered to whom it came from, %i at once', async count => {
    const { port } = await listeners()(echo);
    const [one, other] = [await client(), await client()];
    const replies = [received(one, count), received(other, count)];
    // All in one turn, so that they wait together.
    for (const text of numbered(count)) {
      one.send(`one-${text}`, port, '127.0.0.1');
      other.send(`other-${text}`, port, '127.0.0.1');
    }
    expect(await Promise.all(replies)).toEqual([
      answers(numbered(count).map(text => `one-${text}`)),
      answers(numbered(count).map(text => `other-${text}`)),
    ]);
  });

  it.each([1, 10])('may be answered later, be given no answer, or a long one, among %i', async count => {
    const later: (() => void)[] = [];
    const peers: Peer[] = [];
    const serve: ServeQuery = (packet, transport, peer, reply) => {
      const text = packet.toString();
      peers.push(peer);
      expect(transport).toBe('udp');
      if (text === 'later') later.push(() => reply(Buffer.from('late')));
      else if (text === 'never') reply(undefined);
      else if (text === 'long') reply(Buffer.alloc(5000, 'x'));
      else reply(Buffer.from(packet));
    };
    const { port } = await listeners()(serve);
    const socket = await client();
    const replies = received(socket, 2 * count);
    const kinds = ['later', 'never', 'long', 'now'];
    for (let round = 0; round < count; round += 1)
      for (const text of kinds) socket.send(text, port, '127.0.0.1');
    const soonest = await replies;
    expect(soonest.toSorted()).toEqual([
      ...Array<string>(count).fill('now'),
      ...Array<string>(count).fill('x'.repeat(5000)),
    ]);
    expect(new Set(peers.map(({ address, port: from }) => `${address}:${from}`))).toEqual(
      new Set([`${clientAddress}:${portOf(socket)}`]),
    );
    const late = received(socket, count);
    for (const answer of later) answer();
    expect(await late).toEqual(Array(count).fill('late'));
  });

  it('is answered even where one reply does not go out with the others', async () => {
    const real = libcHere();
    // A fake: the kernel refuses a reply for reasons that loopback does not have.
    const refusals = [2, 0];
    const listen = listeners({
      ...real,
      sendmmsg(fd, messages, count, flags) {
        const accepted = refusals.shift();
        return accepted === 0 ? -1 : real.sendmmsg(fd, messages, accepted ?? count, flags);
      },
    });
    const { port } = await listen(echo);
    const socket = await client();
    // The first two go alone.
    const replies = received(socket, 6);
    for (const text of numbered(7)) socket.send(text, port, '127.0.0.1');
    expect(await replies).toEqual(answers(['m0', 'm1', 'm2', 'm3', 'm5', 'm6']));
  });

  it('on one socket leaves others their turn', async () => {
    const listen = listeners();
    let [inTurn, most, last, seen] = [0, 0, -1, 0];
    const ports: number[] = [];
    for (const index of [0, 1]) {
      const { port } = await listen((_packet, _transport, _peer, reply) => {
        inTurn = index === last ? inTurn + 1 : 1;
        most = Math.max(most, inTurn);
        last = index;
        seen += 1;
        reply(undefined);
      });
      ports.push(port);
    }
    // As many as the kernel keeps with its defaults, all there before the first is read.
    const flood = await client();
    for (const to of ports) for (const text of numbered(500)) flood.send(text, to, '127.0.0.1');
    await soon(() => expect(seen).toBe(1000));
    // Two by themselves, and a batch.
    expect(most).toBeLessThanOrEqual(34);
  });

  it('when it is too late for an answer gets none, also not from who has the descriptor now', async () => {
    const later: ((reply: Buffer) => void)[] = [];
    const listen = listeners();
    const { port, close } = await listen((_packet, _transport, _peer, reply) => void later.push(reply));
    const socket = await client();
    for (const text of numbered(5)) socket.send(text, port, '127.0.0.1');
    await soon(() => expect(later).toHaveLength(5));
    close();
    await listen(echo);
    socket.on('message', message => expect.unreachable(message.toString()));
    for (const reply of later) reply(Buffer.from('late'));
    const last = await client();
    const { port: alive } = await listen(echo);
    last.send('?', alive, '127.0.0.1');
    expect(await received(last, 1)).toEqual(['re:?']);
  });

  it('is answered from memory that the collector leaves alone', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { port } = await listeners()((packet, _transport, _peer, reply) => {
      const text = packet.toString();
      collect();
      // What was freed would be given out again here.
      const others = Array.from({ length: 50 }, () => new Uint8Array(16_384).fill(255));
      reply(Buffer.from(`re:${text}`));
      expect(others.every(each => each[0] === 255)).toBe(true);
    });
    const socket = await client();
    for (let round = 0; round < 5; round += 1) {
      const replies = received(socket, 20);
      for (const text of numbered(20)) socket.send(text, port, '127.0.0.1');
      expect(await replies).toEqual(answers(numbered(20)));
      socket.removeAllListeners('message');
    }
  });
});

describe('an address', () => {
  it('that another has is not had, and nothing stays open', async () => {
    const taken = await client();
    const listen = listeners();
    const before = await ownSockets();
    for (const isShared of [false, true])
      await expect(listen(echo, { ...loopback, port: portOf(taken) }, isShared)).rejects.toThrow(
        expect.objectContaining({ code: 'EADDRINUSE' }),
      );
    await expect(listen(echo, { host: '192.0.2.1', port: 0 })).rejects.toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    );
    expect(await ownSockets()).toEqual(before);
  });

  it.each([true, false])(
    'that is ours is nobody else’s, whatever they are ready to share, shared: %s',
    async isShared => {
      const listen = listeners();
      const { port } = await listen(echo, loopback, isShared);
      const rival = createSocket({ type: 'udp4', reuseAddr: true });
      open.push(rival);
      rival.bind(port, '127.0.0.1');
      expect(await once(rival, 'error')).toMatchObject([{ code: 'EADDRINUSE' }]);
      if (isShared) await listen(echo, { ...loopback, port }, true);
      else
        await expect(listen(echo, { ...loopback, port }, true)).rejects.toThrow(
          expect.objectContaining({ code: 'EADDRINUSE' }),
        );
    },
  );

  it('is free again once it was given up', async () => {
    const listen = listeners();
    const first = await listen(echo);
    first.close();
    const second = await listen(echo, { ...loopback, port: first.port });
    const socket = await client();
    socket.send('?', second.port, '127.0.0.1');
    expect(await received(socket, 1)).toEqual(['re:?']);
  });
});
