import { readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { openEventsFile } from './events-file.ts';

it('appends lines to a file that is its owner’s alone', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'events.ndjson');
  const events = openEventsFile(path);
  events.append('one\n');
  events.append('two\n');
  events.close();
  expect(await readFile(path, 'utf8')).toBe('one\ntwo\n');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

it.each([
  ['one\ntw', 'one\nnew\n'],
  ['tw', 'new\n'],
  ['', 'new\n'],
  ['one\n', 'one\nnew\n'],
  [`one\n${'x'.repeat(200_000)}`, 'one\nnew\n'],
])('takes away what a killed process left of a line', async (before, after) => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'events.ndjson');
  await writeFile(path, before);
  const events = openEventsFile(path);
  events.append('new\n');
  events.close();
  expect(await readFile(path, 'utf8')).toBe(after);
});

it('does not write through a symlink', async () => {
  await using folder = await scratchFolder();
  await symlink('/etc/passwd', join(folder.path, 'events.ndjson'));
  expect(() => openEventsFile(join(folder.path, 'events.ndjson'))).toThrow('ELOOP');
});
