import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { programs, scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';

test('a pipe in the place of a file is named in the report, and not read', async () => {
  await using scratch = await scratchFolder();
  const { path: folder } = scratch;
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', ['--mode=0600', pipe]);
  const doctor = (settingsFile: string) =>
    runChild(process.execPath, [programs.broker, 'doctor', '--settings-file', settingsFile], {
      timeoutMs: 45_000,
      env: { PATH: process.env['PATH'] ?? '' },
    });
  expect((await doctor(pipe)).stdout).toContain(`${pipe} is not a regular file`);

  const settingsFile = join(folder, 'broker.env');
  const names = ['JWT_PUBLIC_KEY_PATH', 'REVOKED_FILE', 'TLS_CERT', 'TLS_KEY'];
  const lines = [
    ...names.map(name => `BROKER_${name}=${pipe}`),
    ...['BROKER_BIND=127.0.0.1:6443', `BROKER_UNIX_SOCKET_PATH=${join(folder, 'broker.sock')}`],
  ];
  await writeFile(settingsFile, `${lines.join('\n')}\n`);
  const { stdout } = await doctor(settingsFile);
  const found = stdout.split('\n').filter(line => line.includes(`${pipe} is not a regular file`));
  expect(
    found.map(line => line.slice(0, 20).trim()),
    stdout,
  ).toHaveLength(3);
});
