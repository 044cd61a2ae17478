import { expect, test } from 'vitest';
import { containerUlimits } from './power.ts';

test('containers get the hard limits of the process, and a million when it has none', () => {
  const limits = `Limit                     Soft Limit           Hard Limit           Units
Max processes             96343                unlimited            processes
Max open files            1024                 20000                files     `;
  expect(containerUlimits(limits)).toBe('"nofile=20000:20000", "nproc=1048576:1048576"');
});
