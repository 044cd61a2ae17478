// An epoll(7) set: the sockets that one thread waits for.
import { closeOnExec } from './kernel-sockets.ts';
import { type Layout, layoutHere } from './layout.ts';
import type { Libc } from './libc.ts';

const [addition, removal] = [1, 2];
const readable = 0x001;
const error = 0x008;
const hangUp = 0x010;
const maxEvents = 64;

export interface EpollSet {
  /** Adds a descriptor until it is removed. @throws Error when the kernel refuses */
  add(fd: number): void;
  /** Call it before the descriptor is closed. */
  remove(fd: number): void;
  /**
   * Waits until a descriptor is ready, at most this many ms.
   *
   * @returns the number of ready ones; negative after a signal
   */
  wait(timeoutMs: number): number;
  /** Returns the descriptor of the index-th event of the last wait. */
  fd(index: number): number;
  /** Whether that event reports an error, with or without something to read. */
  hasError(index: number): boolean;
  close(): void;
}

/** @throws Error when the process or the system has no descriptor left */
export function createEpollSet(libc: Libc, layout: Layout = layoutHere): EpollSet {
  const epollFd = libc.epoll_create1(closeOnExec);
  if (epollFd < 0) throw new Error('epoll_create1 failed: no descriptor is left');
  // Offsets in words of four bytes.
  const [eventWords, dataWord] = [layout.event.bytes / 4, layout.event.data / 4];
  // Sized for the largest layout, so that the kernel never writes beyond it, even when the layout is wrong.
  const events = new Uint32Array(maxEvents * 4);
  const eventsAt = libc.addressOf(events.buffer);
  const one = new Uint32Array(4);
  const oneAt = libc.addressOf(one.buffer);
  return {
    add(fd) {
      one[0] = readable;
      one[dataWord] = fd;
      if (libc.epoll_ctl(epollFd, addition, fd, oneAt) !== 0)
        throw new Error(`epoll_ctl refused descriptor ${fd}`);
    },
    remove: fd => void libc.epoll_ctl(epollFd, removal, fd, oneAt),
    wait: timeoutMs => libc.epoll_wait(epollFd, eventsAt, maxEvents, timeoutMs),
    fd: index => events[index * eventWords + dataWord] ?? -1,
    hasError: index => ((events[index * eventWords] ?? 0) & (error | hangUp)) !== 0,
    close: () => void libc.close(epollFd),
  };
}
