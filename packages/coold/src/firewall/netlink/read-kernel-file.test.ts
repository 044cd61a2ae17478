import { expect, test } from 'vitest';
import { readKernelFile } from './read-kernel-file.ts';

test('a file that is not there is empty, and one that cannot be read is an error', async () => {
  expect(await readKernelFile('/proc/sys/net/ipv4/ip_forward')).toMatch(/^[01]\n$/);
  expect(await readKernelFile('/proc/none')).toBe('');
  await expect(readKernelFile('/proc/self')).rejects.toMatchObject({ code: 'EISDIR' });
});
