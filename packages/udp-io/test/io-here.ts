// For tests.
import { readdir, readlink } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createEpollLoop, type EpollLoop } from '../src/ffi/epoll-loop.ts';
import { closeOnExec, nonBlocking } from '../src/ffi/kernel-sockets.ts';
import { layoutOf } from '../src/ffi/layout.ts';
import { type Libc, loadLibc } from '../src/ffi/libc.ts';
import { openUdp } from '../src/open-udp.ts';
import type { Udp } from '../src/udp.ts';
import { loadFfiIo, nodeIo, type UdpIo } from '../src/udp-io.ts';

/** The C library of this machine. */
export function libcHere(): Libc {
  const libc = loadLibc();
  if ('unusable' in libc) throw new Error(libc.unusable);
  return libc;
}

/** A loop in this very thread, whose Node has a turn after every millisecond. */
export function epollHere(
  libc = libcHere(),
): EpollLoop & Disposable & { turns(count: number): Promise<void> } {
  const wakeFd = libc.eventfd(0, nonBlocking | closeOnExec);
  const loop = createEpollLoop({ libc, wakeFd, turnMs: () => 1 });
  loop.start();
  return {
    ...loop,
    async turns(count) {
      for (let turn = 0; turn < count; turn += 1) await nextTurn();
    },
    [Symbol.dispose]() {
      loop.close();
      libc.close(wakeFd);
    },
  };
}

/** UDP by `node:ffi` with the structures of a machine that this is not. */
export const loadWrongIo: typeof loadFfiIo = () =>
  loadFfiIo(layoutOf(process.arch === 'x64' ? 'arm64' : 'x64'));

export const kinds = ['ffi', 'node'] as const;

/** Either way to do UDP. */
export function ioHere(kind: UdpIo['kind']): UdpIo {
  if (kind === 'node') return nodeIo;
  const io = loadFfiIo();
  if ('unusable' in io) throw new Error(io.unusable);
  return io;
}

/** UDP in this very thread, whose Node has a turn after every millisecond. */
export function udpHere(kind: UdpIo['kind']): Udp & Disposable {
  const waker = ioHere(kind).createWaker();
  const udp = openUdp(waker.io, () => 1);
  return {
    ...udp,
    [Symbol.dispose]() {
      udp.close();
      waker.close();
    },
  };
}

/** The sockets of this process, by the kernel's names. */
export async function ownSockets(): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter(link => link.startsWith('socket:')).sort();
}
