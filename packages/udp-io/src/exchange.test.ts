// Whatever is sent, for both ways to do UDP: real sockets on loopback, in the test's own thread.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kinds, ownSockets, udpHere } from '../test/io-here.ts';

const host = '127.0.0.1';
const hostNumber = 0x7f00_0001;

async function openSocket(cleanup: AsyncDisposableStack): Promise<Socket & { port: number }> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  cleanup.defer(async () => {
    socket.close();
    await once(socket, 'close');
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  return Object.assign(socket, { port: socket.address().port });
}

/** What comes to a socket, as hexadecimal, with the port that it came from. */
function receive(socket: Socket, count: number): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const seen: string[] = [];
  const onMessage = (message: Buffer, { port }: RemoteInfo) => {
    if (seen.push(`${port} ${message.toString('hex')}`) < count) return;
    socket.off('message', onMessage);
    resolve(seen);
  };
  socket.on('message', onMessage);
  return promise;
}

/** Empty ones, usual ones, and ones that are longer than what goes in a batch; some are sent back several times. */
const datagrams = fc.array(
  fc.record({
    bytes: fc.oneof(
      { weight: 8, arbitrary: fc.uint8Array({ maxLength: 600 }) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 4090, maxLength: 9000, size: 'max' }) },
    ),
    sender: fc.nat(2),
    times: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 1, maxLength: 40 },
);

describe.each(kinds)('by %s', kind => {
  it('every datagram arrives whole, with its sender, and so does what is sent back', async () => {
    await using cleanup = new AsyncDisposableStack();
    using udp = udpHere(kind);
    const senders = [await openSocket(cleanup), await openSocket(cleanup), await openSocket(cleanup)];
    let times: number[] = [];
    let seen: string[] = [];
    const bound = await udp.bind({ host, port: 0 }, false, (bytes, from, socket) => {
      expect(from.address).toBe(hostNumber);
      seen.push(`${from.port} ${bytes.toString('hex')}`);
      // Of the memory that the next datagram comes into.
      for (let count = 0; count < (times[seen.length - 1] ?? 0); count += 1) socket.send(bytes, from);
    });
    await fc.assert(
      fc.asyncProperty(datagrams, async list => {
        seen = [];
        times = list.map(each => each.times);
        const replies = senders.map((socket, index) => {
          const count = list
            .filter(({ sender }) => sender === index)
            .reduce((sum, each) => sum + each.times, 0);
          return count === 0 ? [] : receive(socket, count);
        });
        for (const { bytes, sender } of list) senders[sender]?.send(bytes, bound.port, host);
        const sent = (index: number) =>
          list
            .filter(({ sender }) => sender === index)
            .map(({ bytes }) => Buffer.from(bytes).toString('hex'));
        const came = await Promise.all(replies);
        for (const [index, socket] of senders.entries()) {
          const own = seen.filter(line => line.startsWith(`${socket.port} `));
          expect(own).toEqual(sent(index).map(hex => `${socket.port} ${hex}`));
          const back = list
            .filter(({ sender }) => sender === index)
            .flatMap(each => Array<string>(each.times).fill(Buffer.from(each.bytes).toString('hex')));
          expect(came[index]?.toSorted()).toEqual(back.map(hex => `${bound.port} ${hex}`).toSorted());
        }
      }),
      { numRuns: 60 },
    );
  });

  it('a connected socket sends and receives whatever there is, and hears nobody else', async () => {
    await using cleanup = new AsyncDisposableStack();
    using udp = udpHere(kind);
    const [peer, stranger] = [await openSocket(cleanup), await openSocket(cleanup)];
    const opened = Promise.withResolvers<{ address: number; port: number }>();
    let onMessage = (_message: Buffer) => {};
    const socket = udp.connect(
      { host, port: peer.port },
      {
        onOpen: (address, port) => opened.resolve({ address, port }),
        onMessage: message => onMessage(message),
        onError: () => expect.unreachable(),
      },
    );
    const { address, port } = await opened.promise;
    expect(address).toBe(hostNumber);
    peer.on('message', (message, from) => {
      stranger.send('forged', from.port, from.address);
      peer.send(message, from.port, from.address);
    });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 9000, size: 'max' }), async bytes => {
        const there = receive(peer, 1);
        const back = new Promise<string>(resolve => {
          onMessage = message => resolve(message.toString('hex'));
        });
        const message = Buffer.from(bytes);
        const hex = message.toString('hex');
        socket.send(message, () => expect.unreachable());
        message.fill(0);
        expect(await there).toEqual([`${port} ${hex}`]);
        expect(await back).toBe(hex);
      }),
      { numRuns: 60 },
    );
  });

  it('a closed socket sends nothing, also not by the descriptor that another has now', async () => {
    await using cleanup = new AsyncDisposableStack();
    using udp = udpHere(kind);
    const [peer, other] = [await openSocket(cleanup), await openSocket(cleanup)];
    const openTo = async (to: Socket & { port: number }) => {
      const opened = Promise.withResolvers<void>();
      const onOpen = () => opened.resolve();
      const events = { onOpen, onMessage: () => expect.unreachable(), onError: () => expect.unreachable() };
      const socket = udp.connect({ host, port: to.port }, events);
      await opened.promise;
      return socket;
    };
    const first = await openTo(peer);
    first.close();
    first.close();
    const second = await openTo(other);
    const failures: boolean[] = [];
    first.send(Buffer.from('late'), isRefused => void failures.push(isRefused));
    const came = receive(other, 1);
    second.send(Buffer.from('right'), () => expect.unreachable());
    expect((await came).map(line => line.split(' ')[1])).toEqual([Buffer.from('right').toString('hex')]);
    expect(failures).toEqual([false]);
  });

  it('a socket that is closed in the middle of a batch hears no more of it, and another may take its place', async () => {
    await using cleanup = new AsyncDisposableStack();
    using udp = udpHere(kind);
    const client = await openSocket(cleanup);
    const again = Promise.withResolvers<{ port: number }>();
    let seen = 0;
    const first = await udp.bind({ host, port: 0 }, false, (bytes, from, socket) => {
      seen += 1;
      socket.send(bytes, from);
      if (seen < 5) return;
      first.close();
      void udp
        .bind({ host, port: 0 }, false, (late, peer, next) => next.send(late, peer))
        .then(again.resolve, again.reject);
    });
    const before = receive(client, 1);
    for (let count = 0; count < 20; count += 1) client.send(`m${count}`, first.port, host);
    await before;
    const { port } = await again.promise;
    const after = new Promise<string>(resolve =>
      client.on('message', (message, from) => {
        if (from.port === port) resolve(message.toString());
      }),
    );
    client.send('next', port, host);
    expect(await after).toBe('next');
    expect(seen).toBe(5);
  });

  it('everything is closed in the end, once', async () => {
    const before = await ownSockets();
    const udp = udpHere(kind);
    const events = { onOpen() {}, onMessage() {}, onError() {} };
    const bound = await udp.bind({ host, port: 0 }, false, () => {});
    const connected = udp.connect({ host, port: 9 }, events);
    (await udp.bind({ host, port: 0 }, false, () => {})).close();
    expect(await ownSockets()).not.toEqual(before);
    udp[Symbol.dispose]();
    expect(await ownSockets()).toEqual(before);
    // Their descriptors may be another's now.
    using other = udpHere(kind);
    await other.bind({ host, port: 0 }, false, () => {});
    const after = await ownSockets();
    bound.close();
    connected.close();
    expect(await ownSockets()).toEqual(after);
  });
});
