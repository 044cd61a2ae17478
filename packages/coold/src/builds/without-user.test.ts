import { expect, it } from 'vitest';
import { withoutUser } from './without-user.ts';

it.each([
  ['https://git.example/a@b/c.git', 'https://git.example/a@b/c.git'],
  ['https://user:secret@git.example/a.git', 'https://…@git.example/a.git'],
  ['https://user:sec@ret@git.example/a.git', 'https://…@git.example/a.git'],
  ['ssh://git@git.example/a.git', 'ssh://…@git.example/a.git'],
  ['git@git.example:a.git', '…@git.example:a.git'],
  ['user:secret@git.example:a.git', '…@git.example:a.git'],
  ['git.example:a.git', 'git.example:a.git'],
])('%s is logged as %s', (url, logged) => {
  expect(withoutUser(url)).toBe(logged);
});
