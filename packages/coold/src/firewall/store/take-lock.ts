import { setTimeout as delay } from 'node:timers/promises';
import { acquireFileLock, type FileLock } from '@coold/runtime';

/**
 * Takes the lock that only one program holds while it writes the firewall of this host.
 *
 * @param waitMs how long the lock may be held by another first
 * @throws Error when another process keeps it
 */
export async function takeLock(path: string, waitMs: number): Promise<FileLock> {
  const end = performance.now() + waitMs;
  for (;;) {
    const lock = await acquireFileLock(path);
    if (lock !== undefined) return lock;
    if (performance.now() >= end)
      throw new Error(
        `${path} is locked: another coold writes the firewall of this host, and there must be only one`,
      );
    await delay(100);
  }
}
