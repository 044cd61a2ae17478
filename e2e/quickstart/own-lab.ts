import { mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { acquireFileLock } from '@coold/runtime';
import { createLab, type Lab } from '../harness/lab/lab.ts';
import { startWatcher } from './watcher.ts';

/** The user stopped the program before it was done. */
export class Interrupted extends Error {}

/** The resources of a program that runs at most once per checkout. */
export interface OwnLab {
  /** Path of a new, empty folder. */
  folder: string;
  lab: Lab;
  /** For everything that must be stopped before the lab. */
  cleanup: AsyncDisposableStack;
  /** Call it after each step, once the result of the step is in `cleanup`. @throws Interrupted */
  goOn(): void;
}

/**
 * Runs `work` with a lab and the folder `.<name>` in this checkout. Both are removed when it ends, also when this
 * process is killed.
 *
 * @returns the result of `work`
 * @throws Interrupted when the user stops it
 * @throws Error when another one of this name runs in this checkout
 */
export async function withOwnLab<T>(
  name: 'quickstart' | 'demo',
  stop: AbortSignal,
  work: (own: OwnLab) => Promise<T>,
): Promise<T> {
  await using cleanup = new AsyncDisposableStack();
  const folder = fileURLToPath(new URL(`../../.${name}`, import.meta.url));
  const lock = await acquireFileLock(`${folder}.lock`);
  if (lock === undefined) throw new Error(`another ${name} runs in this checkout: stop it first`);
  cleanup.defer(() => lock.release());
  const goOn = () => {
    if (stop.aborted) throw new Interrupted();
  };
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const watcher = startWatcher(folder);
    cleanup.defer(() => watcher.dismiss());
    cleanup.defer(() => rm(folder, { recursive: true, force: true }));
    const lab = await createLab({ diskSize: '2g' });
    cleanup.defer(() => lab.close());
    return await work({ folder, lab, cleanup, goOn });
  } catch (error) {
    // Ctrl-C also ends child processes, which causes various errors.
    if (stop.aborted) throw new Interrupted('', { cause: error });
    throw error;
  }
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
