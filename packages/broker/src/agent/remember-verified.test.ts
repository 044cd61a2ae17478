import { expect, it, vi } from 'vitest';
import { rememberVerified } from './remember-verified.ts';

it('what was verified is remembered, what was refused is not, and the longest unused is forgotten', async () => {
  const verify = vi.fn((token: string) =>
    token === 'bad' ? Promise.reject(new Error('refused')) : Promise.resolve(token.length),
  );
  const remembered = rememberVerified(verify, 2);
  expect(await remembered('a')).toBe(1);
  expect(await remembered('a')).toBe(1);
  expect(verify).toHaveBeenCalledTimes(1);
  await expect(remembered('bad')).rejects.toThrow('refused');
  await expect(remembered('bad')).rejects.toThrow('refused');
  expect(verify).toHaveBeenCalledTimes(3);
  await remembered('bb');
  await remembered('a');
  await remembered('ccc'); // in place of bb
  expect(verify).toHaveBeenCalledTimes(5);
  await remembered('a');
  expect(verify).toHaveBeenCalledTimes(5);
  await remembered('bb');
  expect(verify).toHaveBeenCalledTimes(6);
});
