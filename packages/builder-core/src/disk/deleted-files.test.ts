import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { deletedFiles } from './deleted-files.ts';

const options = { signal: new AbortController().signal, timeoutMs: 30_000 };

/** Runs lines of Python, the last of which prints that all is as it shall be; then the process waits. */
async function startPython(folder: string, lines: readonly string[]) {
  const script = ['import mmap, os, sys', ...lines, 'print("so", flush=True)', 'sys.stdin.read()'].join('\n');
  const child = spawn('python3', ['-c', script], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    pid: String(child.pid),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

const make = 'f = open("x", "w+b"); f.write(b"x" * 3_000_000); f.flush()';

it.each([
  ['that is open', [make, 'os.remove("x")'], 1],
  ['that is open twice', [make, 'os.remove("x")', 'g = os.dup(f.fileno())'], 1],
  ['that is only mapped', [make, 'm = mmap.mmap(f.fileno(), 3_000_000)', 'os.remove("x")', 'f.close()'], 1],
  ['that has a name: nothing', [make], 0],
  [
    'that is memory: nothing',
    ['f = os.memfd_create("x"); os.write(f, b"x" * 3_000_000)', 'm = mmap.mmap(f, 3_000_000)'],
    0,
  ],
] as const)('counts what a file takes up %s', async (_which, lines, files) => {
  await using folder = await scratchFolder();
  await using python = await startPython(folder.path, lines);
  const found = await deletedFiles([python.pid, python.pid, '4194304'], options);
  expect(found?.inodes).toBe(files);
  expect(found?.bytes).toBeGreaterThanOrEqual(files * 3_000_000);
  expect(found?.bytes).toBeLessThan(files * 3_000_000 + 100_000);
});

it('gives up when its time is over', async () => {
  expect(await deletedFiles([String(process.pid)], { ...options, timeoutMs: -1 })).toBeUndefined();
});
