import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { expect, it } from 'vitest';
import { libcHere } from '../../test/io-here.ts';

/** In a process of its own, whose output is seen whole. */
async function load(...flags: string[]) {
  const file = fileURLToPath(new URL('libc.ts', import.meta.url));
  const script = `import { loadLibc } from ${JSON.stringify(file)}; console.log(Object.keys(loadLibc()).includes('unusable') ? loadLibc().unusable : 'usable');`;
  const { code, stdout, stderr } = await runChild(
    process.execPath,
    [...flags, '--input-type=module', '-e', script],
    { timeoutMs: 60_000 },
  );
  return { code, stdout, stderr };
}

it('can be loaded, and the log stays one of JSON lines', async () => {
  expect(await load()).toEqual({ code: 0, stdout: 'usable\n', stderr: '' });
});

it('cannot be loaded when Node was started without it', async () => {
  const stdout = 'this Node has no node:ffi, or it is switched off\n';
  expect(await load('--no-experimental-ffi')).toEqual({ code: 0, stdout, stderr: '' });
});

it('says with -1 what the kernel refuses', () => {
  expect(libcHere().socket(-1, 0, 0)).toBe(-1);
});
