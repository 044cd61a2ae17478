import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { runChild } from '@coold/runtime';

/** A real server of the git protocol. */
export interface GitDaemon extends AsyncDisposable {
  /** `git://address:port`, to which the folder of a repository is appended. */
  url: string;
}

export interface GitDaemonOptions {
  /** Every repository in it is served. */
  folder: string;
  port: number;
  /** Where it listens; default 127.0.0.1. */
  address?: string;
  /** The network namespace in which it listens: the pid of a process in it, or its path. */
  inside?: number | string;
}

/** @throws Error with the server's own words when it does not come up */
export async function startGitDaemon({
  folder,
  port,
  address = '127.0.0.1',
  inside,
}: GitDaemonOptions): Promise<GitDaemon> {
  await mkdir(folder, { recursive: true });
  const { stdout } = await runChild('git', ['--exec-path'], { timeoutMs: 10_000 });
  const netns = typeof inside === 'number' ? `/proc/${inside}/ns/net` : inside;
  const enter = netns === undefined ? [] : ['nsenter', `--net=${netns}`, '--'];
  const options = [`--listen=${address}`, `--port=${port}`, '--export-all', `--base-path=${folder}`];
  const program = [`${stdout.trim()}/git-daemon`, '--verbose', '--reuseaddr', ...options];
  // pdeathsig: the server dies with a test run that is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...enter, ...program], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' },
  });
  const exited = new Promise<void>(resolve => child.once('close', () => resolve()));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-4096);
      if (said.includes('Ready to rumble')) resolve();
    });
    void exited.then(() => reject(new Error(`git daemon did not come up: ${said}`)));
  });
  return {
    url: `git://${address}:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
