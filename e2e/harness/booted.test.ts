import { expect, test } from 'vitest';
import { bootedState } from './booted.ts';

const says = (stdout: string) =>
  bootedState({ name: 'a', exec: () => Promise.resolve({ code: 1, stdout, stderr: '' }) }, 1000);

test('reads whether a boot succeeded, goes on, or failed', async () => {
  expect(await says('running\n')).toBe('running');
  expect(await says('degraded\n')).toBe('degraded');
  expect(await says('')).toBeUndefined();
  expect(await says('offline\n')).toBeUndefined();
  await expect(says('maintenance\n')).rejects.toThrow('host a booted to "maintenance"');
});
