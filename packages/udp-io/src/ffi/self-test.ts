// Compares our structure layouts with the kernel's behaviour, on loopback sockets, where each answer is known in
// advance: the sender, the length, the port.
import { createDatagrams, type Datagrams } from './datagrams.ts';
import { createEpollSet, type EpollSet } from './epoll-set.ts';
import { closeOnExec, createKernelSockets, dontWait, nonBlocking } from './kernel-sockets.ts';
import type { Layout } from './layout.ts';
import type { Libc } from './libc.ts';

const host = '127.0.0.1';
const hostNumber = 0x7f00_0001;
/** Far longer than a datagram takes over loopback on a busy machine, in ms. */
const waitMs = 1000;
const [familyInet6, datagram] = [10, 2];
/** ECONNREFUSED. */
const refused = 111;
/** Different lengths, so that a length is right only when it is read at the right place. */
const texts = ['one', 'twenty', 'three hundred'];

/**
 * Sends, receives and waits with each structure of a layout, on loopback sockets that are closed again.
 *
 * @returns undefined when the kernel reads and writes them as the layout says; else what it did instead
 */
export function selfTest(libc: Libc, layout: Layout): string | undefined {
  using cleanup = new DisposableStack();
  const bench = createBench(libc, layout, cleanup);
  try {
    testAddresses(bench);
    testBatches(bench);
    testSingles(bench);
    testConnected(bench);
    testRefusal(bench);
    testWake(bench);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

type Bench = ReturnType<typeof createBench>;

/** What the tests share; what it opens is closed by `cleanup`. */
function createBench(libc: Libc, layout: Layout, cleanup: DisposableStack) {
  const sockets = createKernelSockets(libc, 65_536, layout);
  function kept(what: string, fd: number | undefined): number {
    if (fd === undefined || fd < 0) throw new Error(`no ${what}`);
    cleanup.defer(() => libc.close(fd));
    return fd;
  }
  return {
    libc,
    layout,
    sockets,
    kept,
    bound(): { fd: number; port: number } {
      const fd = kept('socket bound to loopback', sockets.bound({ host, port: 0 }, false));
      return { fd, port: sockets.localAddress(fd).port };
    },
    connected: (to: { host: string; port: number }) =>
      kept(`socket connected to ${to.host}`, sockets.connected(to)),
    datagrams: (count: number, hasAddress = true) =>
      createDatagrams(libc.addressOf, { count, bytesEach: 64, hasAddress }, layout),
    epollSet(...fds: number[]): EpollSet {
      const set = createEpollSet(libc, layout);
      cleanup.defer(set.close);
      for (const fd of fds) set.add(fd);
      return set;
    },
  };
}

/** bind and getsockname agree on addresses and ports, also where an IPv4 address is mapped into IPv6. */
function testAddresses({ libc, layout, sockets, bound, connected }: Bench): void {
  const [one, other] = [bound(), bound()];
  expectSame('the bytes of an address', nameBytes(libc, one.fd), layout.ipv4.bytes);
  expectSame('the address of a bound socket', sockets.localAddress(one.fd).address, hostNumber);
  expectSame('whether two sockets have one port', one.port === other.port, false);
  expectSame('whether there is room to send', sockets.hasRoom(one.fd), true);
  const probe = libc.socket(familyInet6, datagram | closeOnExec, 0);
  // This kernel has no IPv6.
  if (probe < 0) return;
  libc.close(probe);
  const mapped = connected({ host: `::ffff:${host}`, port: one.port });
  expectSame('the bytes of an address of IPv6', nameBytes(libc, mapped), layout.ipv6.bytes);
  const local = sockets.localAddress(mapped);
  expectSame('the address of a socket of IPv6', local.address, hostNumber);
  expectSame('whether a socket of IPv6 has a port', local.port > 0, true);
}

/** How long the kernel says that a socket's address is, whatever there is room for. */
function nameBytes(libc: Libc, fd: number): number {
  const words = new Uint32Array(16);
  words[0] = 32;
  const at = libc.addressOf(words.buffer);
  return libc.getsockname(fd, at + 4n, at) === 0 ? (words[0] ?? 0) : 0;
}

/** sendmmsg and recvmmsg carry several datagrams, and epoll tells of several sockets. */
function testBatches(bench: Bench): void {
  const { libc, bound, datagrams, epollSet } = bench;
  const [sender, ...receivers] = [bound(), bound(), bound()];
  const set = epollSet(...receivers.map(({ fd }) => fd));
  expectSame('how many sockets are ready before anything was sent', set.wait(0), 0);
  const sent = datagrams(texts.length);
  for (const { port } of receivers) {
    for (const [index, text] of texts.entries()) sent.put(index, Buffer.from(text), port, hostNumber);
    const count = libc.sendmmsg(sender.fd, sent.at(0), texts.length, dontWait);
    expectSame('how many datagrams sendmmsg took', count, texts.length);
  }
  const ready = waitFor(set, receivers.length);
  expectSame('how many sockets received what was sent over loopback', ready.length, receivers.length);
  expectSame('which sockets are ready', ready.join(), receivers.map(({ fd }) => fd).join());
  for (const { fd } of receivers) {
    const came = datagrams(texts.length);
    expectSame('how many datagrams recvmmsg gave', receiveAll(bench, fd, came), texts.length);
    for (const [index, text] of texts.entries()) {
      expectSame('a datagram', came.received(index).toString(), text);
      expectSame('its sender', `${came.address(index)}:${came.port(index)}`, `${hostNumber}:${sender.port}`);
    }
  }
}

/** sendmsg and recvmsg carry one datagram. */
function testSingles({ libc, bound, datagrams, epollSet }: Bench): void {
  const [sender, receiver] = [bound(), bound()];
  const [sent, came] = [datagrams(1), datagrams(1)];
  sent.put(0, Buffer.from('alone'), receiver.port, hostNumber);
  expectSame('how many bytes sendmsg took', libc.sendmsg(sender.fd, sent.at(0), dontWait), 5);
  waitFor(epollSet(receiver.fd), 1);
  expectSame('how many bytes recvmsg gave', libc.recvmsg(receiver.fd, came.at(0), dontWait), 5);
  expectSame('a datagram', came.receivedOf(0, 5).toString(), 'alone');
  expectSame('its sender', `${came.address(0)}:${came.port(0)}`, `${hostNumber}:${sender.port}`);
}

/** A connected socket sends without an address. */
function testConnected({ libc, sockets, bound, connected, datagrams, epollSet }: Bench): void {
  const receiver = bound();
  const sender = connected({ host, port: receiver.port });
  const [sent, came] = [datagrams(1, false), datagrams(1)];
  sent.put(0, Buffer.from('linked'), 0, 0);
  expectSame('how many bytes a connected socket took', libc.sendmsg(sender, sent.at(0), dontWait), 6);
  waitFor(epollSet(receiver.fd), 1);
  expectSame('how many bytes it sent', libc.recvmsg(receiver.fd, came.at(0), dontWait), 6);
  expectSame('the port that it sent from', came.port(0), sockets.localAddress(sender).port);
}

/** A connected socket has an error where nothing listens. */
function testRefusal({ libc, sockets, connected, datagrams, epollSet }: Bench): void {
  const gone = sockets.bound({ host, port: 0 }, false);
  if (gone === undefined) throw new Error('no socket bound to loopback');
  const { port } = sockets.localAddress(gone);
  const sender = connected({ host, port });
  libc.close(gone);
  const sent = datagrams(1, false);
  sent.put(0, Buffer.from('nobody'), 0, 0);
  libc.sendmsg(sender, sent.at(0), dontWait);
  const set = epollSet(sender);
  waitFor(set, 1);
  expectSame('whether epoll tells of an error', set.hasError(0), true);
  expectSame('the error where nothing listens', sockets.takeError(sender), refused);
}

/** An eventfd makes epoll ready until it is read. */
function testWake({ libc, kept, epollSet }: Bench): void {
  const fd = kept('eventfd', libc.eventfd(0, nonBlocking | closeOnExec));
  const set = epollSet(fd);
  libc.eventfd_write(fd, 7n);
  expectSame('which eventfd is ready', waitFor(set, 1).join(), String(fd));
  const count = new BigUint64Array(1);
  libc.eventfd_read(fd, libc.addressOf(count.buffer));
  expectSame('what the eventfd counted', count[0], 7n);
  expectSame('how many eventfds are ready once it was read', set.wait(0), 0);
}

/** @returns the descriptors that are ready, in order, once there are so many; at most `waitMs` later those that there are */
function waitFor(set: EpollSet, count: number): number[] {
  const end = performance.now() + waitMs;
  for (;;) {
    const left = end - performance.now();
    const ready = Math.max(0, set.wait(left > 0 ? 1 : 0));
    if (ready >= count || left <= 0)
      return Array.from({ length: ready }, (_, index) => set.fd(index)).sort((a, b) => a - b);
  }
}

/** @returns how many came before `waitMs` was over */
function receiveAll({ libc, epollSet }: Bench, fd: number, into: Datagrams): number {
  const set = epollSet(fd);
  let count = 0;
  while (count < texts.length && waitFor(set, 1).length > 0)
    count += Math.max(0, libc.recvmmsg(fd, into.at(count), texts.length - count, dontWait, 0n));
  return count;
}

function expectSame<T>(what: string, found: T, expected: T): void {
  if (found !== expected) throw new Error(`${what}: expected ${expected}, found ${found}`);
}
