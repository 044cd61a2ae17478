// Real sockets on loopback, in the test's own thread: Node's loop has a turn after every millisecond.
import { soon } from '@coold/testbed/soon';
import { expect, it } from 'vitest';
import { epollHere, libcHere } from '../../test/io-here.ts';
import { createKernelSockets } from './kernel-sockets.ts';

const libc = libcHere();
const sockets = createKernelSockets(libc, 65_536);

function kept(cleanup: DisposableStack, fd: number | undefined): number {
  if (fd === undefined) throw new Error('no socket');
  cleanup.defer(() => libc.close(fd));
  return fd;
}

function bound(cleanup: DisposableStack) {
  const fd = kept(cleanup, sockets.bound({ host: '127.0.0.1', port: 0 }, false));
  return { fd, port: sockets.localAddress(fd).port };
}

/** What writes eight bytes to a port. */
function writer(cleanup: DisposableStack, port: number) {
  const fd = kept(cleanup, sockets.connected({ host: '127.0.0.1', port }));
  return { fd, write: () => libc.eventfd_write(fd, 7n) };
}

const word = new ArrayBuffer(8);
const read = (fd: number) => libc.eventfd_read(fd, libc.addressOf(word));

it('calls for ready descriptors, as long as they are ready, and for no others', async () => {
  using loop = epollHere();
  using cleanup = new DisposableStack();
  const [one, other] = [bound(cleanup), bound(cleanup)];
  const seen: string[] = [];
  cleanup.defer(loop.watch(other.fd, () => void seen.push('other')));
  cleanup.defer(
    loop.watch(one.fd, hasError => {
      // Read at the third call only.
      if (seen.push(`one ${hasError}`) === 3) read(one.fd);
    }),
  );
  writer(cleanup, one.port).write();
  await soon(() => expect(seen).toHaveLength(3));
  await loop.turns(3);
  expect(seen).toEqual(['one false', 'one false', 'one false']);
});

it('says that a socket has an error', async () => {
  using loop = epollHere();
  using cleanup = new DisposableStack();
  const before = new DisposableStack();
  const { port } = bound(before);
  before.dispose();
  const { fd, write } = writer(cleanup, port);
  const told = Promise.withResolvers<boolean>();
  cleanup.defer(loop.watch(fd, told.resolve));
  write();
  expect(await told.promise).toBe(true);
});

it('calls for none that was ended meanwhile, and for all that were added', async () => {
  using loop = epollHere();
  using cleanup = new DisposableStack();
  const sockets = Array.from({ length: 10 }, () => bound(cleanup));
  const late = bound(cleanup);
  const ends: (() => void)[] = [];
  let calls = 0;
  let isAdded = false;
  for (const { fd } of sockets)
    ends.push(
      loop.watch(fd, () => {
        calls += 1;
        for (const end of ends.splice(0)) end();
        cleanup.defer(
          loop.watch(late.fd, () => {
            read(late.fd);
            isAdded = true;
          }),
        );
      }),
    );
  for (const { port } of [...sockets, late]) writer(cleanup, port).write();
  await soon(() => expect(isAdded).toBe(true));
  await loop.turns(3);
  expect(calls).toBe(1);
});

it('throws when the kernel refuses a descriptor', () => {
  using loop = epollHere();
  expect(() => loop.watch(1_000_000, () => {})).toThrow('descriptor 1000000');
});
