import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';

const unit = fileURLToPath(new URL('../../../../../systemd/coold.service', import.meta.url));
const module = new URL('./work-folder.ts', import.meta.url).href;

/** The capabilities that coold has where systemd starts it, as setpriv takes them. */
async function boundingSet(): Promise<string> {
  const [, names = ''] = /^CapabilityBoundingSet=(.+)$/m.exec(await readFile(unit, 'utf8')) ?? [];
  return ['-all', ...names.split(' ').map(name => `+${name.toLowerCase().replace('cap_', '')}`)].join(',');
}

it.each([
  ['a folder of another user that nobody else may remove from (sticky)', 1000, 0o1777],
  ['a folder of another user that is closed', 1000, 0o000],
  ['a folder of root that is sticky', 0, 0o1777],
])('coold removes a work folder with %s, with the capabilities of its unit', async (_what, owner, mode) => {
  await using folder = await scratchFolder();
  const left = join(folder.path, 'b-1', 'scratch/tmp/buildah-cache/npm');
  await mkdir(join(left, 'below'), { recursive: true });
  await writeFile(join(folder.path, 'b-1', 'request.json'), '{}');
  for (const path of [join(left, 'file'), join(left, 'below/file')]) {
    await writeFile(path, '');
    await chown(path, 1001, 1001);
  }
  for (const path of [join(left, 'below'), left]) {
    await chown(path, owner, owner);
    await chmod(path, mode);
  }
  const program = `(await import(${JSON.stringify(module)})).createWorkFolders(${JSON.stringify(folder.path)}).remove('b-1')`;
  const node = [process.execPath, '--input-type=module', '--eval', `await ${program}`];
  const { code, stderr } = await runChild(
    'setpriv',
    [`--bounding-set=${await boundingSet()}`, '--', ...node],
    { timeoutMs: 30_000 },
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(await readdir(folder.path)).toEqual([]);
});
