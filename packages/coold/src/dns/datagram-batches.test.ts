// Real sockets on loopback.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { soon } from '@coold/testbed/soon';
import { afterEach, describe, expect, it } from 'vitest';
import { createDatagramBatches, type DatagramBatches } from './datagram-batches.ts';
import { type Libc, loadLibc } from './libc.ts';
import type { Peer, ServeQuery } from './serve-query.ts';
import { listenUdp } from './udp-listener.ts';

const loopback = { host: '127.0.0.1', port: 0 };

function libc(): Libc {
  const loaded = loadLibc();
  if (loaded === undefined) throw new Error('no C library');
  return loaded;
}

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function client(): Promise<Socket> {
  const socket = createSocket('udp4');
  open.push(socket);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

const portOf = (socket: Socket) => socket.address().port;

/** A socket that nobody reads but the test, and where it is. */
async function bound(batches: DatagramBatches) {
  let socket: ReturnType<DatagramBatches['bind']>;
  // Somebody else may be quicker.
  while (socket === undefined) socket = batches.bind({ host: '127.0.0.1', port: await freePort() }, false);
  const { fd } = socket;
  open.push({ close: () => libc().close(fd) });
  return fd;
}

/** Of the socket that was bound last. */
let port = 0;
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  port = portOf(socket);
  await new Promise<void>(resolve => socket.close(() => resolve()));
  return port;
}

/** Over loopback a datagram has arrived once it was sent. */
function send(from: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) =>
    from.send(text, port, '127.0.0.1', error => (error ? reject(error) : resolve())),
  );
}

/** The next that comes, each as text. */
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
const never = () => expect.unreachable();

describe('what waits on a socket', () => {
  it('is answered by few calls, each to whom it came from', async () => {
    const batches = createDatagramBatches(libc());
    const fd = await bound(batches);
    const [one, other] = [await client(), await client()];
    const replies = [received(one, 40), received(other, 40)];
    for (const text of numbered(40)) {
      await send(one, `one-${text}`);
      await send(other, `other-${text}`);
    }
    for (let call = 0; call < 3; call += 1) batches.drain(fd, echo, never);
    expect(await Promise.all(replies)).toEqual([
      numbered(40).map(text => `re:one-${text}`),
      numbered(40).map(text => `re:other-${text}`),
    ]);
  });

  it('is nothing, most of the time', async () => {
    const batches = createDatagramBatches(libc());
    const fd = await bound(batches);
    batches.drain(fd, never, never);
    batches.drain(-1, never, never);
  });

  it('may be answered later, be given no answer, or one that is too long for the others’ company', async () => {
    const batches = createDatagramBatches(libc());
    const fd = await bound(batches);
    const socket = await client();
    const replies = received(socket, 1);
    for (const text of ['later', 'never', 'long', 'now']) await send(socket, text);
    const alone: [string, Peer][] = [];
    const later: (() => void)[] = [];
    const serve: ServeQuery = (packet, _transport, peer, reply) => {
      const text = packet.toString();
      expect(peer).toEqual({ address: '127.0.0.1', port: portOf(socket) });
      if (text === 'later') later.push(() => reply(Buffer.from('late')));
      else if (text === 'never') reply(undefined);
      else if (text === 'long') reply(Buffer.alloc(5000, 'x'));
      else reply(packet);
    };
    const sendAlone = (reply: Buffer, peer: Peer) => void alone.push([reply.toString(), peer]);
    batches.drain(fd, serve, sendAlone);
    expect(await replies).toEqual(['now']);
    // While another batch is answered, too: its place there is not this one's.
    await send(socket, 'now');
    const again = received(socket, 1);
    batches.drain(
      fd,
      (...args) => {
        for (const answer of later) answer();
        serve(...args);
      },
      sendAlone,
    );
    expect(await again).toEqual(['now']);
    const peer = { address: '127.0.0.1', port: portOf(socket) };
    expect(alone).toEqual([
      ['x'.repeat(5000), peer],
      ['late', peer],
    ]);
  });

  it('is answered even where one reply does not go out with the others', async () => {
    const real = libc();
    // A fake: the kernel refuses a reply for reasons that loopback does not have.
    const refusals = [2, 0];
    const batches = createDatagramBatches({
      ...real,
      sendmmsg(fd, messages, count, flags) {
        const accepted = refusals.shift();
        if (accepted === 0) return -1;
        return real.sendmmsg(fd, messages, accepted ?? count, flags);
      },
    });
    const fd = await bound(batches);
    const socket = await client();
    const replies = received(socket, 4);
    for (const text of numbered(5)) await send(socket, text);
    const alone: string[] = [];
    batches.drain(fd, echo, (reply, { port }) => alone.push(`${reply.toString()} to ${port}`));
    expect(await replies).toEqual(['re:m0', 're:m1', 're:m3', 're:m4']);
    expect(alone).toEqual([`re:m2 to ${portOf(socket)}`]);
  });

  it.each([1, 2])('leaves others their turn, as soon with %i listeners', async count => {
    const batches = createDatagramBatches(libc());
    let [inTurn, most, seen] = [0, 0, 0];
    const endTurn = () => {
      inTurn = 0;
    };
    const serve: ServeQuery = (_packet, _transport, _peer, reply) => {
      if (inTurn === 0) setImmediate(endTurn);
      inTurn += 1;
      most = Math.max(most, inTurn);
      seen += 1;
      reply(undefined);
    };
    const ports: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const listener = await listenUdp(loopback, serve, { batches });
      open.push(listener);
      ports.push(listener.port);
    }
    // As many as the kernel keeps with its defaults, all there before the first is read.
    const flood = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
    open.push(flood);
    flood.bind(0, '127.0.0.1');
    for (const to of ports) for (const text of numbered(500)) flood.send(text, to, '127.0.0.1');
    await soon(() => expect(seen).toBe(count * 500));
    // In batches, and what Node takes one by one of each listener before it looks after others.
    expect(most).toBeLessThanOrEqual(256 + count * 33);
  });

  it('is answered from memory that the collector leaves alone', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const batches = createDatagramBatches(libc());
    const fd = await bound(batches);
    const socket = await client();
    for (let round = 0; round < 20; round += 1) {
      const replies = received(socket, 20);
      for (const text of numbered(20)) await send(socket, text);
      collect();
      // What was freed would be given out again here.
      const others = Array.from({ length: 200 }, () => new Uint8Array(16_384).fill(255));
      batches.drain(fd, echo, never);
      expect(others.every(each => each[0] === 255)).toBe(true);
      expect(await replies).toEqual(numbered(20).map(text => `re:${text}`));
      socket.removeAllListeners('message');
    }
  });
});

describe('an address', () => {
  it('that another has is not had, and nothing stays open', async () => {
    const taken = await client();
    const batches = createDatagramBatches(libc());
    const sockets = await ownSockets();
    expect(batches.bind({ host: '127.0.0.1', port: portOf(taken) }, false)).toBeUndefined();
    expect(batches.bind({ host: '127.0.0.1', port: portOf(taken) }, true)).toBeUndefined();
    expect(batches.bind({ host: '192.0.2.1', port: 0 }, false)).toBeUndefined();
    // As numbers its parts would be 0.0.0.0.
    expect(batches.bind({ host: 'localhost', port: 0 }, false)).toBeUndefined();
    expect(await ownSockets()).toEqual(sockets);
    await expect(listenUdp({ host: '127.0.0.1', port: portOf(taken) }, echo, { batches })).rejects.toThrow(
      expect.objectContaining({ code: 'EADDRINUSE' }),
    );
    expect(await ownSockets()).toEqual(sockets);
  });

  it.each([true, false])(
    'that is ours is nobody else’s, whatever they are ready to share, shared: %s',
    async isShared => {
      const batches = createDatagramBatches(libc());
      const listener = await listenUdp(loopback, echo, { isShared, batches });
      open.push(listener);
      const rival = createSocket({ type: 'udp4', reuseAddr: true });
      open.push(rival);
      rival.bind(listener.port, '127.0.0.1');
      expect(await once(rival, 'error')).toMatchObject([{ code: 'EADDRINUSE' }]);
      if (isShared)
        open.push(await listenUdp({ ...loopback, port: listener.port }, echo, { isShared, batches }));
    },
  );
});

/** This process's, by the kernel's names. */
async function ownSockets(): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter(link => link.startsWith('socket:')).sort();
}
