import { VerbError } from '@coold/errors';
import { type Logger, type Task, untilAborted } from '@coold/runtime';

/** Limits the streamed calls of both transports, and ends them when coold stops. */
export interface Streams {
  /**
   * Runs one call; its signal aborts with the caller's, or when coold stops.
   *
   * @throws VerbError 503 when there are too many, or coold stops
   */
  run<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>, kind?: StreamKind): Promise<T>;
  /** Ends all calls when it is stopped, and waits until their sources have stopped too. */
  task: Task;
}

/** Light calls have a limit of their own, so that they do not use up the others' places. */
export type StreamKind = 'usual' | 'light';

/** Each uses two connections to Podman, and buffers of both transports. */
const defaultMax = 512;
/** These use a promise each. */
const defaultMaxLight = 1024;
/** Less than the time that coold itself gets to stop, in ms. */
const stopMs = 4000;

export function createStreams(log: Logger, max = defaultMax, maxLight = defaultMaxLight): Streams {
  const stopping = new AbortController();
  const running = new Set<Promise<unknown>>();
  const limits: Record<StreamKind, number> = { usual: max, light: maxLight };
  const counts: Record<StreamKind, number> = { usual: 0, light: 0 };
  return {
    async run(caller, work, kind = 'usual') {
      const { signal } = stopping;
      signal.throwIfAborted();
      if (counts[kind] >= limits[kind])
        throw new VerbError('host_busy', `this host has ${limits[kind]} streams under way already`);
      // A separate promise, since each call counts, whatever its work returns.
      const one = (async () => await work(AbortSignal.any([caller, signal])))();
      running.add(one);
      counts[kind] += 1;
      try {
        return await one;
      } catch (error) {
        // This is the reason, whatever error the work broke off with, unless the caller had left before.
        if (!caller.aborted) signal.throwIfAborted();
        throw error;
      } finally {
        running.delete(one);
        counts[kind] -= 1;
      }
    },
    async task(stop) {
      await untilAborted(stop);
      stopping.abort(new VerbError('host_stopping', 'coold is stopping'));
      if (running.size === 0) return;
      log.info({ streams: running.size }, 'ending the streams that are under way');
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, stopMs);
      await Promise.race([Promise.allSettled(running), late.promise]);
      clearTimeout(timer);
    },
  };
}
