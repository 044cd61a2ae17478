import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from './logger.ts';

/** Where SIGHUP comes from: the process, or what stands in for it. */
export interface Hangups {
  on(event: 'SIGHUP', listener: () => void): unknown;
  off(event: 'SIGHUP', listener: () => void): unknown;
}

export interface ReloadOptions {
  /** For the log. */
  what: string;
  paths: readonly string[];
  /** Reads and takes over; when it rejects, what there was stays. */
  load: () => Promise<void>;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
  everyMs?: number;
}

/**
 * Loads files again on SIGHUP and when one of them changes, until the signal aborts. The names are looked at every two
 * seconds: that sees a file that was renamed into place, and one behind a link that now leads elsewhere.
 */
export function reloadOnChange(options: ReloadOptions): void {
  const { what, paths, load, hangups, log, signal, everyMs = 2000 } = options;
  if (signal.aborted) return;
  let last = Promise.resolve();
  const reload = () => {
    last = last
      .then(load)
      .then(() => log.info({ paths }, `${what}: read again`))
      .catch((error: unknown) =>
        log.error({ err: error }, `${what}: cannot be used; the last good one stays`),
      );
  };
  hangups.on('SIGHUP', reload);
  for (const path of paths) watchFile(path, { interval: everyMs, persistent: false }, reload);
  signal.addEventListener(
    'abort',
    () => {
      hangups.off('SIGHUP', reload);
      for (const path of paths) unwatchFile(path, reload);
    },
    { once: true },
  );
}
