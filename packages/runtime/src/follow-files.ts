import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from './logger.ts';

/** Where SIGHUP comes from: the process, or what stands in for it. */
export interface Hangups {
  on(event: 'SIGHUP', listener: () => void): unknown;
  off(event: 'SIGHUP', listener: () => void): unknown;
}

export interface FollowOptions<T> {
  /** For the log. */
  what: string;
  paths: readonly string[];
  /** Reads and checks the files; when it rejects, what there was stays. */
  read: () => Promise<T>;
  /** Takes over what was read again. */
  use: (content: T) => void;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
  /** How often the files are looked at, in ms. */
  everyMs?: number;
}

/** A file that is written in place is empty for a moment; one that was changed so many ms ago is there whole. */
const settleMs = 100;
/** Looks at a file that somebody writes without an end, until it is read as it is. */
const maxLooks = 20;

/**
 * Reads files, and again on SIGHUP and when one of them has changed, until the signal aborts. Their names are looked at,
 * every two seconds: that sees a file that was renamed into place, and one behind a link that now leads elsewhere. What
 * counts as seen is what was there before the files were read, so a change meanwhile is one, the first time as well.
 *
 * @returns what was read first
 * @throws what `read` threw the first time
 */
export async function followFiles<T>(options: FollowOptions<T>): Promise<T> {
  const { what, paths, read, use, hangups, log, signal, everyMs = 2000 } = options;
  let seen = await look(paths);
  const first = await read();
  if (signal.aborted) return first;
  let reading = Promise.resolve();
  let isAsked = false;
  const readAgain = async () => {
    isAsked = false;
    seen = await look(paths);
    try {
      use(await read());
      log.info({ paths }, `${what}: read again`);
    } catch (error) {
      log.error({ err: error }, `${what}: cannot be used; the last good one stays`);
    }
  };
  const askAgain = () => {
    if (isAsked) return;
    isAsked = true;
    reading = reading.then(readAgain);
  };
  hangups.on('SIGHUP', askAgain);
  signal.addEventListener('abort', () => hangups.off('SIGHUP', askAgain), { once: true });
  const pause = (ms: number) => delay(ms, undefined, { signal, ref: false });
  const untilSettled = async (found: string) => {
    for (let looks = 1, before: string; looks < maxLooks; looks += 1) {
      await pause(settleMs);
      before = found;
      found = await look(paths);
      if (found === before) return;
    }
  };
  const watch = async () => {
    for (;;) {
      await pause(everyMs);
      await reading;
      const found = await look(paths);
      if (found === seen) continue;
      await untilSettled(found);
      askAgain();
    }
  };
  watch().catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return first;
}

/** What the names lead to now. */
async function look(paths: readonly string[]): Promise<string> {
  const files = await Promise.all(
    paths.map(path =>
      stat(path, { bigint: true }).then(
        ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(':'),
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      ),
    ),
  );
  return files.join(' ');
}
