import { vi } from 'vitest';

/**
 * Waits until a check no longer throws, and gives what it returns. What tests wait for comes within milliseconds; the bound
 * is for a machine that is busy with something else, and below that of a whole test, so that it is the check that is told.
 *
 * @throws what the check threw last, after 40 s or the time that is given, in ms
 */
export function soon<T>(
  check: () => T | Promise<T>,
  options: { timeout?: number; interval?: number } = {},
): Promise<T> {
  return vi.waitFor(check, { timeout: 40_000, interval: 20, ...options });
}
