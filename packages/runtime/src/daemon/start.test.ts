import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runChild } from '../processes/child.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coold-start-'));
  const resolve = (path: string) => JSON.stringify(import.meta.resolve(path));
  await writeFile(
    join(folder, 'main.mjs'),
    `import { startProgram } from ${resolve('./start.ts')};
     process.exit(await startProgram({
       name: 'tool', version: '1.2.3', release: '1.2.3 (commit 0123)', folder: import.meta.dirname,
       load: async () => (await import('./commands.mjs')).run }));`,
  );
  await writeFile(
    join(folder, 'commands.mjs'),
    `import { fillCompileCache } from ${resolve('./compile-cache.ts')};
     process.stdout.write('loaded ');
     export const run = async ([command], version) => command === 'compile-cache'
       ? fillCompileCache([() => import('./more.mjs')])
       : console.log(command, version) ?? 7;`,
  );
  await writeFile(join(folder, 'more.mjs'), 'export const more = () => 1;');
});
afterAll(() => rm(folder, { recursive: true }));

const tool = (args: string[], env: Record<string, string> = {}) =>
  runChild(process.execPath, [join(folder, 'main.mjs'), ...args], {
    timeoutMs: 20_000,
    env: { PATH: process.env['PATH'], ...env },
  });

it('answers --version before it loads anything', async () => {
  expect(await tool(['--version'])).toMatchObject({ code: 0, stdout: 'tool 1.2.3 (commit 0123)\n' });
});

it('gives what it loads all arguments and the version, and ends with its exit code', async () => {
  expect(await tool(['--version', '--more'])).toMatchObject({ code: 7, stdout: 'loaded --version 1.2.3\n' });
});

it('makes no compile cache where no installation has', async () => {
  await tool(['anything']);
  expect(await readdir(folder)).not.toContain('compile-cache');
});

it('takes compiled code from the cache of an installation, also when that has moved', async () => {
  const original = folder;
  await mkdir(join(folder, 'compile-cache'));
  expect(await tool(['compile-cache'])).toMatchObject({ code: 0 });
  folder = `${original}-moved`;
  await cp(original, folder, { recursive: true });
  const { stdout, stderr } = await tool(['anything'], { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
  await rm(folder, { recursive: true });
  folder = original;
  expect(stdout + stderr).toMatch(/commands\.mjs was accepted/);
});
