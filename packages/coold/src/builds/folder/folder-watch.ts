import { type FSWatcher, watch } from 'node:fs';

/** Waits for changes to files in one folder. */
export interface FolderWatch extends Disposable {
  /** Resolves at the next change since the last call, after `ms`, or when the signal aborts, whichever comes first. */
  next(ms: number, signal?: AbortSignal): Promise<void>;
}

/**
 * Watches files in a folder. Where the kernel has no inotify watches left, `next` resolves after its time only.
 *
 * @param names the names of the files that matter
 */
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
    // The host has no inotify watches left.
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
