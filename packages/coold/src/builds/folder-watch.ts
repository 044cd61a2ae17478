import { type FSWatcher, watch } from 'node:fs';

/** Tells of changes to files in one folder. */
export interface FolderWatch extends Disposable {
  /** Resolves at the next change since the last call, after `ms`, or when the signal aborts, whatever is first. */
  next(ms: number, signal?: AbortSignal): Promise<void>;
}

/** @param names the files that matter; a kernel that has no watches left is made up for by the callers' `ms` */
export function watchFolder(path: string, names: readonly string[]): FolderWatch {
  let changed = false;
  let wake = () => {};
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(path, { persistent: false }, (_event, name) => {
      if (name !== null && !names.includes(name)) return;
      changed = true;
      wake();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // Of watches there is a limited number on a host.
  }
  return {
    async next(ms, signal) {
      if (!changed && signal?.aborted !== true)
        await new Promise<void>(resolve => {
          const timer = setTimeout(done, ms);
          signal?.addEventListener('abort', done, { once: true });
          wake = done;
          function done() {
            clearTimeout(timer);
            signal?.removeEventListener('abort', done);
            resolve();
          }
        });
      changed = false;
    },
    [Symbol.dispose]: () => watcher?.close(),
  };
}
