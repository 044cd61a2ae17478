// What the kernel refuses; how a socket receives and sends is tested for both ways to do UDP.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { epollHere, libcHere } from '../../test/io-here.ts';
import { createBind } from './bound.ts';
import { createKernelSockets } from './kernel-sockets.ts';

it('sends the rest of a batch where one datagram of it is refused', async () => {
  const real = libcHere();
  // A fake: the kernel refuses a datagram for reasons that loopback does not have.
  const refusals = [2, 0];
  const libc = {
    ...real,
    sendmmsg(fd: number, messages: bigint, count: number, flags: number) {
      const accepted = refusals.shift();
      return accepted === 0 ? -1 : real.sendmmsg(fd, messages, accepted ?? count, flags);
    },
  };
  using loop = epollHere();
  const bind = createBind(libc, createKernelSockets(libc, 65_536), loop);
  const { port } = await bind({ host: '127.0.0.1', port: 0 }, false, (bytes, from, socket) =>
    socket.send(Buffer.from(bytes), from),
  );
  await using client = createSocket({
    type: 'udp4',
    lookup: (name, _options, found) => found(null, name, 4),
  });
  const listening = once(client, 'listening');
  client.bind(0, '127.0.0.1');
  await listening;
  const seen: string[] = [];
  const six = new Promise<void>(resolve =>
    client.on('message', message => {
      if (seen.push(message.toString()) === 6) resolve();
    }),
  );
  // All in one turn, so that they wait together: the first two go alone.
  for (let index = 0; index < 7; index += 1) client.send(`m${index}`, port, '127.0.0.1');
  await six;
  expect(seen).toEqual(['m0', 'm1', 'm2', 'm3', 'm5', 'm6']);
});
