// What the kernel refuses; how a socket sends and receives is tested for both ways to do UDP.
import { expect, it } from 'vitest';
import { epollHere, libcHere, ownSockets } from '../../test/io-here.ts';
import { createConnect } from './connected.ts';
import { createKernelSockets } from './kernel-sockets.ts';

const to = { host: '127.0.0.1', port: 9 };

it('a socket that the kernel does not wait for is none, and does not stay open', async () => {
  const libc = libcHere();
  using loop = epollHere();
  // A fake: the kernel refuses for want of memory, or beyond max_user_watches.
  const refusing = {
    ...loop,
    watch: () => {
      throw new Error('cannot wait');
    },
  };
  const connect = createConnect(libc, createKernelSockets(libc, 65_536), refusing);
  const before = await ownSockets();
  const errors: boolean[] = [];
  const socket = connect(to, {
    onOpen: () => expect.unreachable(),
    onMessage: () => expect.unreachable(),
    onError: isRefused => void errors.push(isRefused),
  });
  socket.send(Buffer.alloc(12), isRefused => void errors.push(isRefused));
  socket.close();
  expect(errors).toEqual([false, false]);
  expect(await ownSockets()).toEqual(before);
});
