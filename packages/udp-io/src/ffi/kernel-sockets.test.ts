// Real sockets on loopback.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { libcHere, ownSockets } from '../../test/io-here.ts';
import { createKernelSockets } from './kernel-sockets.ts';

const libc = libcHere();
const sockets = createKernelSockets(libc, 65_536);
const open: number[] = [];
afterEach(() => {
  for (const fd of open.splice(0)) libc.close(fd);
});

function opened(fd: number | undefined): number {
  if (fd === undefined) throw new Error('no socket');
  open.push(fd);
  return fd;
}

describe('a socket', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1', 0x7f00_0001],
    ['::ffff:127.0.0.1', '127.0.0.1', 0x7f00_0001],
    ['::1', '::1', 0],
  ])('asks %s from an address that is known as a number, if it is IPv4', async (host, listening, number) => {
    await using there = createSocket(listening === '::1' ? 'udp6' : 'udp4');
    there.bind(0, listening);
    await once(there, 'listening');
    const fd = opened(sockets.connected({ host, port: there.address().port }));
    const { address, port } = sockets.localAddress(fd);
    expect(address).toBe(number);
    expect(port).toBeGreaterThan(0);
    expect(sockets.hasRoom(fd)).toBe(true);
    expect(sockets.takeError(fd)).toBe(0);
  });

  it('reports once that nobody listens there', async () => {
    const gone = createSocket('udp4');
    gone.bind(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address();
    await new Promise<void>(resolve => gone.close(() => resolve()));
    const fd = opened(sockets.connected({ host: '127.0.0.1', port }));
    libc.eventfd_write(fd, 1n); // eight bytes
    expect([sockets.takeError(fd), sockets.takeError(fd)]).toEqual([111, 0]);
  });

  it('is bound where it was asked to be, alone or with others', async () => {
    const alone = opened(sockets.bound({ host: '127.0.0.1', port: 0 }, false));
    const { port, address } = sockets.localAddress(alone);
    expect(address).toBe(0x7f00_0001);
    const before = await ownSockets();
    for (const isShared of [true, false])
      expect(sockets.bound({ host: '127.0.0.1', port }, isShared)).toBeUndefined();
    const shared = opened(sockets.bound({ host: '127.0.0.1', port: 0 }, true));
    opened(sockets.bound({ host: '127.0.0.1', port: sockets.localAddress(shared).port }, true));
    expect(await ownSockets()).toHaveLength(before.length + 2);
  });

  it('is bound to an address that no interface has yet, and to each but once', async () => {
    const [datagram, stream] = [
      opened(sockets.bound({ host: '192.0.2.1', port: 0 }, false)),
      opened(sockets.boundStream({ host: '192.0.2.1', port: 0 })),
    ];
    const at = (fd: number) => ({ host: '192.0.2.1', port: sockets.localAddress(fd).port });
    expect(sockets.localAddress(datagram).address).toBe(0xc000_0201);
    await using server = createServer();
    server.listen({ fd: stream });
    await once(server, 'listening');
    expect(server.address()).toMatchObject({ address: '192.0.2.1' });
    expect(sockets.bound(at(datagram), false)).toBeUndefined();
    expect(sockets.boundStream(at(stream))).toBeUndefined();
    open.splice(open.indexOf(stream), 1); // the server's
  });

  it('is refused for an address of another host, and nothing stays open', async () => {
    const before = await ownSockets();
    for (const host of ['localhost', '::1', '1.2.3', ''])
      for (const open of [sockets.boundStream({ host, port: 0 }), sockets.bound({ host, port: 0 }, false)])
        expect(open, host).toBeUndefined();
    for (const host of ['255.255.255.255', 'localhost', '1.2.3'])
      expect(sockets.connected({ host, port: 53 }), host).toBeUndefined();
    expect(await ownSockets()).toEqual(before);
    expect(sockets.localAddress(-1)).toEqual({ address: 0, port: 0 });
    expect([sockets.takeError(-1), sockets.hasRoom(-1)]).toEqual([0, false]);
  });
});
