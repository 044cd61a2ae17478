// A thread's own way to wait for sockets: in epoll_wait(2), with a call for each of them that is ready. Node's loop reads
// each socket for JavaScript, into new memory and with an object for the sender, which is most of what a forwarded question
// costs.
import { closeOnExec } from './datagram-sockets.ts';
import type { Libc } from './libc.ts';

const [addition, removal] = [1, 2];
const readable = 0x001;
const error = 0x008;
const hangUp = 0x010;
/** A `struct epoll_event` in words: packed on x86-64 alone. */
const [eventWords, dataWord] = process.arch === 'x64' ? [3, 1] : [4, 2];
const maxEvents = 64;

/** @param hasError also, or instead of something to read */
export type OnReady = (hasError: boolean) => void;

export interface EpollLoop {
  /**
   * @param onReady is called again and again for as long as there is something to read, or the socket has an error
   * @returns ends it, which is due before the descriptor is closed
   * @throws Error when the kernel does not take it
   */
  watch(fd: number, onReady: OnReady): () => void;
  /** From the next turn of Node's loop on. */
  start(): void;
  /** Ends it, and closes what is watched: descriptors are the process's, and would outlive the thread. */
  close(): void;
}

export interface EpollLoopOptions {
  libc: Libc;
  /** An eventfd: who writes to it gives Node's loop its turn. */
  wakeFd: number;
  /**
   * Node's loop, with the timers and messages of this thread, has its turn as often as this, ms: asked for before each. A
   * message is no later for it: whoever sends one wakes the thread.
   */
  turnMs(): number;
}

/** @throws Error when the system has no more descriptors */
export function createEpollLoop({ libc, wakeFd, turnMs }: EpollLoopOptions): EpollLoop {
  const epollFd = libc.epoll_create1(closeOnExec);
  if (epollFd < 0) throw new Error('no descriptor to wait for sockets with is to be had');
  const watchers = new Map<number, OnReady>();
  const events = new Uint32Array(maxEvents * eventWords);
  const eventsAt = libc.addressOf(events.buffer);
  const one = new Uint32Array(eventWords);
  const oneAt = libc.addressOf(one.buffer);

  function watch(fd: number, onReady: OnReady): () => void {
    one[0] = readable;
    one[dataWord] = fd;
    if (libc.epoll_ctl(epollFd, addition, fd, oneAt) !== 0)
      throw new Error(`cannot wait for descriptor ${fd}`);
    watchers.set(fd, onReady);
    return () => {
      watchers.delete(fd);
      libc.epoll_ctl(epollFd, removal, fd, oneAt);
    };
  }

  function look(count: number): void {
    for (let at = 0; at < count * eventWords; at += eventWords) {
      // What was there for one may be told to another, if the descriptor was closed and given out again meanwhile: it looks
      // in vain.
      const onReady = watchers.get(events[at + dataWord] ?? -1);
      onReady?.(((events[at] ?? 0) & (error | hangUp)) !== 0);
    }
  }

  let isWoken = false;
  const woken = new BigUint64Array(1);
  const wokenAt = libc.addressOf(woken.buffer);
  watch(wakeFd, () => {
    isWoken = libc.eventfd_read(wakeFd, wokenAt) === 0 && woken.length === 1;
  });

  function turn(): void {
    const wait = turnMs();
    const end = performance.now() + wait;
    isWoken = false;
    for (let left = wait; left > 0 && !isWoken; left = end - performance.now()) {
      const count = libc.epoll_wait(epollFd, eventsAt, maxEvents, Math.ceil(left));
      if (count > 0) look(count);
    }
    next = setImmediate(turn);
  }
  let next: NodeJS.Immediate | undefined;
  return {
    watch,
    start() {
      next = setImmediate(turn);
    },
    close() {
      clearImmediate(next);
      for (const fd of watchers.keys()) if (fd !== wakeFd) libc.close(fd);
      watchers.clear();
      libc.close(epollFd);
    },
  };
}
