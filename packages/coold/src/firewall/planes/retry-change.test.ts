import { expect, test } from 'vitest';
import { retryChange } from './retry-change.ts';

test('what fails twice is tried a third time, and what fails then has failed', async () => {
  let times = 0;
  const failing = (failures: number) => () => {
    times += 1;
    return times <= failures ? Promise.reject(new Error(`no ${times}`)) : Promise.resolve(times);
  };
  expect(await retryChange(failing(2))).toBe(3);
  times = 0;
  await expect(retryChange(failing(3))).rejects.toThrow('no 3');
  expect(times).toBe(3);
});
