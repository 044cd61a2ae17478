import type { Logger, Task } from '@coold/runtime';
import { VerbError } from './verb-error.ts';

/** The streamed calls of both transports: how many there may be, and their end when coold's comes. */
export interface Streams {
  /**
   * Does the work of one; its signal aborts with the caller's, or when coold stops.
   *
   * @throws VerbError 503 when there are too many, or coold stops
   */
  run<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Ends them all once it is told to stop, and waits until what fed them has stopped too. */
  task: Task;
}

/** Each costs two connections to Podman, and buffers of both transports. */
const defaultMax = 512;
/** Within the time that coold itself gets to stop in, in ms. */
const stopMs = 4000;

export function createStreams(log: Logger, max = defaultMax): Streams {
  const stopping = new AbortController();
  const running = new Set<Promise<unknown>>();
  return {
    async run(caller, work) {
      const { signal } = stopping;
      signal.throwIfAborted();
      if (running.size >= max) throw new VerbError(503, `this host has ${max} streams under way already`);
      // A promise of its own: each counts, whatever the work returns.
      const one = (async () => await work(AbortSignal.any([caller, signal])))();
      running.add(one);
      try {
        return await one;
      } catch (error) {
        // Whatever it broke off with, this is why; unless the caller had left before.
        if (!caller.aborted) signal.throwIfAborted();
        throw error;
      } finally {
        running.delete(one);
      }
    },
    async task(stop) {
      await new Promise<void>(resolve => {
        if (stop.aborted) resolve();
        else stop.addEventListener('abort', () => resolve(), { once: true });
      });
      stopping.abort(new VerbError(503, 'coold is stopping'));
      if (running.size === 0) return;
      log.info({ streams: running.size }, 'ending the streams that are under way');
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, stopMs);
      await Promise.race([Promise.allSettled(running), late.promise]);
      clearTimeout(timer);
    },
  };
}
