// Needs root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { listIptables } from './iptables.ts';

it.each([
  ['a writer', '/run/xtables.lock'],
  ['a container that locks a file of its host', '/dev/null'],
])('a listing of iptables-legacy does not wait for %s', async (_, held) => {
  await using folder = await scratchFolder();
  await mkdir(join(folder.path, 'bin'));
  await symlink('/usr/sbin/iptables-legacy', join(folder.path, 'bin', 'iptables'));
  const path = process.env['PATH'];
  process.env['PATH'] = `${join(folder.path, 'bin')}:${path}`;
  // For longer than a listing would wait.
  const holder = spawn('flock', ['--no-fork', held, 'sh', '-c', 'echo locked; exec sleep 30'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(holder.stdout, 'data');
    expect(await listIptables('filter', 'FORWARD')).toContainEqual(expect.stringMatching(/^-P FORWARD/));
  } finally {
    process.env['PATH'] = path;
    holder.kill('SIGKILL');
  }
});
