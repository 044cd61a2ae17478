import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from './provider.ts';

/**
 * Calls the probe until it returns something other than undefined, for states that no event announces.
 *
 * @param what completes "waited … ms for" in the error
 * @throws HarnessError on timeout; an error of the probe ends the wait at once
 */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  options: { timeoutMs: number; everyMs?: number },
): Promise<T> {
  const { timeoutMs, everyMs = 50 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (performance.now() >= deadline) throw new HarnessError(`waited ${timeoutMs} ms for ${what}`);
    await delay(everyMs);
  }
}
