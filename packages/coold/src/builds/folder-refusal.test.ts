import { expect, test } from 'vitest';
import { folderRefusal } from './folder-refusal.ts';

test.each([
  ['ENOTEMPTY', 409],
  ['EEXIST', 409],
  ['ENOSPC', 507],
  ['EDQUOT', 507],
  ['EIO', 500],
])('a work folder that cannot be made for %s is a %i', (code, expected) => {
  expect(folderRefusal(Object.assign(new Error(`${code}: x`), { code })).code).toBe(expected);
});
