import type { CorrosionOptions } from '@coold/corrosion';
import { type Logger, pause, type Task } from '@coold/runtime';
import { createVersionWatch, type KnownVersion, type VersionWatch } from './database-version.ts';
import { readVersion, writeVersion } from './version-file.ts';

export interface KeptVersion {
  /** For every client that writes to the database. */
  beforeTransaction: NonNullable<CorrosionOptions['beforeTransaction']>;
  /** Maintains the file. */
  task: Task;
  /** Whether the database was restored to an older state, as far as is known. */
  isPutBack(): boolean;
}

export interface KeepVersionOptions {
  /** The path of the file. undefined: the version is not kept. */
  path?: string;
  /** Called when the database was restored: whatever it said before is in doubt. */
  onPutBack(): void;
  log: Logger;
  /** The interval of writes of the file, in ms. */
  writeEveryMs?: number;
}

/** Each write waits for the disk, and a database is not restored to a state of seconds ago. */
const defaultWriteEveryMs = 10_000;

/** Keeps the highest version of the database over restarts, in a file. */
export function keepVersion(options: KeepVersionOptions): KeptVersion {
  const { path, onPutBack, log, writeEveryMs = defaultWriteEveryMs } = options;
  let watch: VersionWatch | undefined;
  let written: KnownVersion | undefined;
  let isFailing = false;

  const load = async (): Promise<VersionWatch> => {
    if (path !== undefined)
      written = await readVersion(path).catch((error: unknown) => {
        log.warn({ err: error }, 'what is known of the version of the Corrosion database cannot be read');
        return undefined;
      });
    watch = createVersionWatch(written, () => {
      log.error(
        'the Corrosion database of this host was restored to an older state: other hosts ignore its changes',
      );
      onPutBack();
    });
    return watch;
  };
  let loading: Promise<VersionWatch> | undefined;
  const loaded = () => {
    loading ??= load();
    return loading;
  };

  const save = async () => {
    const known = watch?.known();
    if (path === undefined || known === undefined || known === written) return;
    try {
      await writeVersion(path, known);
      written = known;
      isFailing = false;
    } catch (error) {
      log[isFailing ? 'debug' : 'warn'](
        { err: error },
        'the version of the Corrosion database cannot be kept; trying again',
      );
      isFailing = true;
    }
  };

  return {
    beforeTransaction: async () => (await loaded()).begin(),
    isPutBack: () => watch?.known()?.isPutBack ?? false,
    async task(signal) {
      await loaded();
      while (!signal.aborted) {
        await pause(writeEveryMs, signal);
        await save();
      }
    },
  };
}
