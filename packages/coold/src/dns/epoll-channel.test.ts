// What the kernel refuses; how a channel asks and is answered is the forwarder's test.
import { expect, it } from 'vitest';
import { createDatagramSockets } from './datagram-sockets.ts';
import { createEpollChannels } from './epoll-channel.ts';
import { epollHere, libcHere, ownSockets } from './testing.ts';

const upstream = { host: '127.0.0.1', port: 9 };

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
  const open = createEpollChannels(libc, createDatagramSockets(libc, 65_536), refusing);
  const before = await ownSockets();
  const errors: boolean[] = [];
  const channel = open(upstream, {
    onOpen: () => expect.unreachable(),
    onMessage: () => expect.unreachable(),
    onError: isRefused => void errors.push(isRefused),
  });
  channel.send(Buffer.alloc(12), isRefused => void errors.push(isRefused));
  channel.close();
  expect(errors).toEqual([false, false]);
  expect(await ownSockets()).toEqual(before);
});
