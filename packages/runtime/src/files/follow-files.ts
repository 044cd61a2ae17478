import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../logs/logger.ts';
import { errorMessage } from '../unknown-values.ts';
import type { UnreadFilesList } from './unread-files.ts';

/** The source of SIGHUP: the process, or a stand-in in tests. */
export interface Hangups {
  on(event: 'SIGHUP', listener: () => void): unknown;
  off(event: 'SIGHUP', listener: () => void): unknown;
}

export interface FollowOptions<T> {
  /** The name of the files for the log. */
  what: string;
  /** The paths. A function where files come and go, for example in a folder; it is called at each check. */
  paths: readonly string[] | (() => Promise<readonly string[]>);
  /** Reads and checks the files. When it rejects, the last content stays in use. */
  read: () => Promise<T>;
  /** Takes over new content. */
  use: (content: T) => void;
  /** Notified whether the files could be read again. */
  unread?: Pick<UnreadFilesList, 'note'> | undefined;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
  /** The interval of checks, in ms. Default 2000. */
  everyMs?: number;
}

/** A file that is written in place is incomplete for a moment. It counts as complete when it has not changed for this long, in ms. */
const settleMs = 100;
/** The most checks of a file that keeps changing. After these it is read as it is. */
const maxLooks = 20;

/**
 * Reads files, and reads them again on SIGHUP and when one of them changes, until the signal aborts. Their paths are checked
 * periodically, which also notices a file that was renamed into place and a link that leads elsewhere. A change while the
 * files are being read counts as a change, the first time as well.
 *
 * @returns the first content
 * @throws the error of the first `read`
 */
export async function followFiles<T>(options: FollowOptions<T>): Promise<T> {
  const { what, read, use, unread, hangups, log, signal, everyMs = 2000 } = options;
  const names = async () => (typeof options.paths === 'function' ? await options.paths() : options.paths);
  const look = async () => await lookAt(await names());
  let seen = await look();
  const first = await read();
  if (signal.aborted) return first;
  let reading = Promise.resolve();
  let isAsked = false;
  const readAgain = async () => {
    isAsked = false;
    seen = await look();
    try {
      use(await read());
      unread?.note(what, undefined);
      log.info({ paths: await names() }, `${what}: read again`);
    } catch (error) {
      const reason = errorMessage(error);
      unread?.note(what, reason);
      log.error({ reason }, `${what}: cannot be used; the last usable one stays in use`);
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
      found = await look();
      if (found === before) return;
    }
  };
  const watch = async () => {
    for (;;) {
      await pause(everyMs);
      await reading;
      const found = await look();
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

/** Returns a text that identifies the files that the paths lead to now. */
async function lookAt(paths: readonly string[]): Promise<string> {
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
