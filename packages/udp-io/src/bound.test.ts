// Real sockets on loopback, in the test's own thread, for both ways to do UDP.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { soon } from '@coold/testbed/soon';
import { afterEach, describe, expect, it } from 'vitest';
import { kinds, ownSockets, udpHere } from '../test/io-here.ts';
import type { OnDatagram, Peer } from './udp.ts';

const loopback = { host: '127.0.0.1', port: 0 };
const clientAddress = 0x7f00_0001;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0).reverse()) each.close();
});

/** Sockets in the test's own thread: they are read when the test has nothing to do. */
function binder(kind: 'ffi' | 'node') {
  const udp = udpHere(kind);
  open.push({ close: () => udp[Symbol.dispose]() });
  return async (onDatagram: OnDatagram, at = loopback, isShared = false) => {
    const socket = await udp.bind(at, isShared, onDatagram);
    open.push(socket);
    return socket;
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
const echo: OnDatagram = (bytes, from, socket) => socket.send(Buffer.from(`re:${bytes.toString()}`), from);
const answers = (texts: string[]) => texts.map(text => `re:${text}`);

describe.each(kinds)('what comes, by %s', kind => {
  it.each([1, 2, 3, 40, 100])('is answered to whom it came from, %i at once', async count => {
    const { port } = await binder(kind)(echo);
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
    const { port } = await binder(kind)((bytes, from, socket) => {
      const text = bytes.toString();
      peers.push(from);
      if (text === 'later') later.push(() => socket.send(Buffer.from('late'), from));
      else if (text === 'long') socket.send(Buffer.alloc(5000, 'x'), from);
      else if (text === 'now') socket.send(Buffer.from(bytes), from);
    });
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

  it('on one socket leaves others their turn', async () => {
    const bind = binder(kind);
    let [inTurn, most, last, seen] = [0, 0, -1, 0];
    const ports: number[] = [];
    for (const index of [0, 1]) {
      const { port } = await bind(() => {
        inTurn = index === last ? inTurn + 1 : 1;
        most = Math.max(most, inTurn);
        last = index;
        seen += 1;
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
    const later: (() => void)[] = [];
    const bind = binder(kind);
    const { port, close } = await bind((_bytes, from, socket) => {
      later.push(() => socket.send(Buffer.from('late'), from));
    });
    const socket = await client();
    for (const text of numbered(5)) socket.send(text, port, '127.0.0.1');
    await soon(() => expect(later).toHaveLength(5));
    close();
    await bind(echo);
    socket.on('message', message => expect.unreachable(message.toString()));
    for (const answer of later) answer();
    const last = await client();
    const { port: alive } = await bind(echo);
    last.send('?', alive, '127.0.0.1');
    expect(await received(last, 1)).toEqual(['re:?']);
  });

  it('is answered from memory that the collector leaves alone', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { port } = await binder(kind)((bytes, from, socket) => {
      const text = bytes.toString();
      collect();
      // What was freed would be given out again here.
      const others = Array.from({ length: 50 }, () => new Uint8Array(16_384).fill(255));
      socket.send(Buffer.from(`re:${text}`), from);
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

describe.each(kinds)('an address, by %s', kind => {
  it('that another has is not had, and nothing stays open', async () => {
    const taken = await client();
    const bind = binder(kind);
    const before = await ownSockets();
    for (const isShared of [false, true])
      await expect(bind(echo, { ...loopback, port: portOf(taken) }, isShared)).rejects.toThrow(
        expect.objectContaining({ code: 'EADDRINUSE' }),
      );
    await expect(bind(echo, { host: '::1', port: 0 })).rejects.toThrow();
    expect(await ownSockets()).toEqual(before);
  });

  it.each([true, false])(
    'that is ours is nobody else’s, whatever they are ready to share, shared: %s',
    async isShared => {
      const bind = binder(kind);
      const { port } = await bind(echo, loopback, isShared);
      const rival = createSocket({ type: 'udp4', reuseAddr: true });
      open.push(rival);
      rival.bind(port, '127.0.0.1');
      expect(await once(rival, 'error')).toMatchObject([{ code: 'EADDRINUSE' }]);
      if (isShared) await bind(echo, { ...loopback, port }, true);
      else
        await expect(bind(echo, { ...loopback, port }, true)).rejects.toThrow(
          expect.objectContaining({ code: 'EADDRINUSE' }),
        );
    },
  );

  it('is free again once it was given up', async () => {
    const bind = binder(kind);
    const first = await bind(echo);
    first.close();
    const second = await bind(echo, { ...loopback, port: first.port });
    const socket = await client();
    socket.send('?', second.port, '127.0.0.1');
    expect(await received(socket, 1)).toEqual(['re:?']);
  });
});
