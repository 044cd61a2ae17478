import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it, test } from 'vitest';
import { programTables } from './command-table.ts';
import { bashCompletion, fishCompletion, zshCompletion } from './completions.ts';
import { manPage } from './man-page.ts';

const run = (program: string, args: string[], env: Record<string, string> = {}) =>
  runChild(program, args, { timeoutMs: 60_000, env: { PATH: process.env['PATH'], ...env } });
const has = async (program: string) => (await run('sh', ['-c', `command -v ${program}`])).code === 0;
const coold = programTables[0] ?? expect.fail('no program');

describe.each(programTables)('$name', program => {
  it('lists every command that its help names', () => {
    const listed = program.commands.map(({ name }) => name.split(' ')[1]);
    expect(listed).toEqual(expect.arrayContaining([...(program.daemon?.commands ?? [])]));
  });

  it('has a man page that man formats without a warning, and that names every option', async ({ skip }) => {
    skip(!(await has('man')), 'man is not installed');
    await using folder = await scratchFolder();
    const path = join(folder.path, `${program.name}.8`);
    await writeFile(path, manPage(program, { version: '1.2.3', epoch: '1767225600' }));
    const env = { MANWIDTH: '100', LC_ALL: 'C.UTF-8', MANROFFSEQ: '', MANPAGER: 'cat', TERM: 'dumb' };
    const shown = await run('man', ['--warnings', '-E', 'UTF-8', '-l', path], env);
    expect([shown.code, shown.stderr]).toEqual([0, '']);
    const flags = [program.daemon, ...program.commands].flatMap(it => Object.keys(it?.options ?? {}));
    const words = shown.stdout.replaceAll(/[‐‑]/g, '-');
    for (const flag of flags)
      expect(words).toContain(`--${flag.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`);
  });
});

/** What the shells offer after a line. */
test.each([
  ['coold st', ['status']],
  ['coold firewall ', ['teardown']],
  ['coold why --js', ['--json']],
  ['coold --api-b', ['--api-bind']],
])('bash offers after "%s": %j', async (line, offered) => {
  await using folder = await scratchFolder();
  const file = join(folder.path, 'coold');
  await writeFile(file, bashCompletion(coold));
  const script = `source ${file}; COMP_WORDS=(${line.trimEnd()}${line.endsWith(' ') ? " ''" : ''}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _coold; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await run('bash', ['--norc', '--noprofile', '-c', script]);
  expect([stdout.trim().split('\n'), stderr]).toEqual([offered, '']);
});

test('zsh offers commands with what they do, and flags', async ({ skip }) => {
  skip(!(await has('zsh')), 'zsh is not installed');
  await using folder = await scratchFolder();
  await writeFile(join(folder.path, '_coold'), zshCompletion(coold));
  // What its own function _describe would be given.
  const offer = (...words: string[]) =>
    run('zsh', [
      ...[
        '-f',
        '-c',
        `_describe() { print -l -- "\${(@P)2}" }; _files() { }; words=(${words.map(it => `'${it}'`).join(' ')}); CURRENT=${words.length}; source ${join(folder.path, '_coold')}`,
      ],
    ]);
  const first = await offer('coold', '');
  expect(first.stderr).toBe('');
  expect(first.stdout).toMatch(/^status:/m);
  expect(first.stdout).toMatch(/^--api-bind:/m);
  expect((await offer('coold', 'firewall', '')).stdout).toBe('teardown:\n');
  expect((await offer('coold', 'why', '')).stdout).toMatch(/^--json:/m);
});

test('fish offers commands and flags', async ({ skip }) => {
  skip(!(await has('fish')), 'fish is not installed');
  await using folder = await scratchFolder();
  const file = join(folder.path, 'coold.fish');
  await writeFile(file, fishCompletion(coold));
  const offer = async (line: string) => {
    const { stdout, stderr } = await run('fish', ['-N', '-c', `source ${file}; complete -C '${line}'`], {
      HOME: folder.path,
    });
    expect(stderr).toBe('');
    return stdout.split('\n').map(it => it.split('\t')[0]);
  };
  expect(await offer('coold sta')).toContain('status');
  expect(await offer('coold firewall ')).toContain('teardown');
  expect(await offer('coold why --js')).toContain('--json');
});
