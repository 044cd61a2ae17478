// The real systemd is met on hosts, in the scenarios; here what a real one does not do at will.
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChildOptions, runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';
import { createSystemd } from './systemd.ts';

/** A systemd whose programs are scripts. */
async function fake(script: string, timeoutMs = 20_000) {
  const folder = await scratchFolder();
  const path = join(folder.path, 'program');
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  const run = (program: string, args: readonly string[], options: ChildOptions) =>
    runChild(path, [program, ...args], { ...options, timeoutMs });
  return { systemd: createSystemd({ run }), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test('a missing systemctl is an error with that reason', async () => {
  const run = (_: string, args: readonly string[], options: ChildOptions) =>
    runChild('/none/systemctl', args, options);
  await expect(createSystemd({ run }).state('b')).rejects.toMatchObject({
    name: 'SystemdError',
    isMissing: true,
    message: expect.stringContaining('ENOENT'),
  });
});

test('one that hangs is ended', async () => {
  await using t = await fake('sleep 600', 200);
  await expect(t.systemd.units()).rejects.toMatchObject({
    isMissing: false,
    message: expect.stringContaining('killed after'),
  });
});

test('what it prints is read: the units of builds, and no others', async () => {
  await using t = await fake(
    'printf "%s\\n" "coolify-build-a.service loaded active running x" "  coolify-build-b.c.service loaded failed failed x" "coolify-build-.service x" ""',
  );
  expect(await t.systemd.units()).toEqual(['a', 'b.c']);
});

test('a unit that is gone cannot be killed, and need not be reset', async () => {
  await using t = await fake('echo "Failed to kill unit x: Unit x not loaded." >&2; exit 1');
  expect(await t.systemd.kill('b', 'SIGTERM')).toBe(false);
  await t.systemd.reset('b');
  await expect(t.systemd.units()).rejects.toThrow('systemctl list-units: Failed to kill unit');
});

test('unreadable output is not a state', async () => {
  await using t = await fake('echo hello');
  await expect(t.systemd.state('b')).rejects.toThrow('expected LoadState');
});
