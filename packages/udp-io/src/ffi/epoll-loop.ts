// Waits for a thread's sockets in epoll_wait(2), and makes one call for each ready socket. Node's loop would read each
// socket into new memory with an object for the sender, which is most of the cost of a forwarded question.
import { createEpollSet } from './epoll-set.ts';
import type { Libc } from './libc.ts';

/** @param hasError whether the socket has an error, with or without something to read */
export type OnReady = (hasError: boolean) => void;

export interface EpollLoop {
  /**
   * @param onReady is called repeatedly while there is something to read or the socket has an error
   *
   * @returns a function that ends it, to be called before the descriptor is closed
   * @throws Error when the kernel refuses
   */
  watch(fd: number, onReady: OnReady): () => void;
  /** Starts with the next turn of Node's loop. */
  start(): void;
  /** Ends it and closes what is watched: descriptors belong to the process and would outlive the thread. */
  close(): void;
}

export interface EpollLoopOptions {
  libc: Libc;
  /** An eventfd: writing to it gives Node's loop a turn. */
  wakeFd: number;
  /**
   * How often Node's loop runs, with this thread's timers and messages, in ms; called before each wait. Messages are
   * not delayed by it, because their sender wakes the thread.
   */
  turnMs(): number;
}

/** @throws Error when the process or the system has no descriptor left */
export function createEpollLoop({ libc, wakeFd, turnMs }: EpollLoopOptions): EpollLoop {
  const set = createEpollSet(libc);
  const watchers = new Map<number, OnReady>();

  function watch(fd: number, onReady: OnReady): () => void {
    set.add(fd);
    watchers.set(fd, onReady);
    return () => {
      watchers.delete(fd);
      set.remove(fd);
    };
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
      const count = set.wait(Math.ceil(left));
      // An event for a socket may reach another one, if the descriptor was closed and reused meanwhile: the other then
      // reads in vain.
      for (let index = 0; index < count; index += 1) watchers.get(set.fd(index))?.(set.hasError(index));
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
      set.close();
    },
  };
}
