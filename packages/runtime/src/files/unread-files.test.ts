import { expect, it } from 'vitest';
import { createUnreadFiles, unreadProblem } from './unread-files.ts';

it('files that cannot be read again are known by the last reason, until they are read', () => {
  const unread = createUnreadFiles();
  unread.note('public keys', 'ENOENT');
  unread.note('API token', 'EACCES');
  unread.note('public keys', 'no key');
  expect(unread.list()).toEqual([
    { what: 'public keys', problem: 'no key' },
    { what: 'API token', problem: 'EACCES' },
  ]);
  unread.note('public keys', undefined);
  unread.note('deny list', undefined);
  expect(unread.list().map(unreadProblem)).toEqual([
    'API token: the ones read before are still used, and the next start would fail: EACCES; correct the file, it is read again without a restart',
  ]);
});
