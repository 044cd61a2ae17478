import { vi } from 'vitest';

/**
 * Repeats a check until it no longer throws, and returns its result. That usually takes milliseconds. The limit allows for a
 * busy machine, and is shorter than the timeout of a whole test, so that the error names the check.
 *
 * @throws the last error of the check, after 40 s or the given time in ms
 */
export function soon<T>(
  check: () => T | Promise<T>,
  options: { timeout?: number; interval?: number } = {},
): Promise<T> {
  return vi.waitFor(check, { timeout: 40_000, interval: 20, ...options });
}
