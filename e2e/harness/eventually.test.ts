import { expect, test } from 'vitest';
import { eventually } from './eventually.ts';

test('resolves with the first answer', async () => {
  let asked = 0;
  const answer = await eventually('an answer', () => (++asked === 3 ? 'here' : undefined), {
    timeoutMs: 5000,
    everyMs: 1,
  });
  expect([answer, asked]).toEqual(['here', 3]);
});

test('times out with the awaited thing in its message, and fails at once with an error of the probe', async () => {
  await expect(eventually('rain', () => undefined, { timeoutMs: 20, everyMs: 5 })).rejects.toThrow(
    'waited 20 ms for rain',
  );
  await expect(
    eventually('rain', () => Promise.reject(new Error('no sky')), { timeoutMs: 60_000 }),
  ).rejects.toThrow('no sky');
});
