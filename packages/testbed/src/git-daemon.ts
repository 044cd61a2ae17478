import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { runChild } from '@coold/runtime';

/** A real server of the git protocol. */
export interface GitDaemon extends AsyncDisposable {
  /** `git://127.0.0.1:port`; a repository's folder follows. */
  url: string;
}

export interface GitDaemonOptions {
  /** Every repository in it is served. */
  folder: string;
  port: number;
  /** Pid of a process whose network it listens in. */
  inside?: number;
}

/** @throws Error with the server's own words when it does not come up */
export async function startGitDaemon({ folder, port, inside }: GitDaemonOptions): Promise<GitDaemon> {
  await mkdir(folder, { recursive: true });
  const { stdout } = await runChild('git', ['--exec-path'], { timeoutMs: 10_000 });
  const enter = inside === undefined ? [] : ['nsenter', '-t', String(inside), '-n', '--'];
  const options = ['--listen=127.0.0.1', `--port=${port}`, '--export-all', `--base-path=${folder}`];
  const program = [`${stdout.trim()}/git-daemon`, '--verbose', '--reuseaddr', ...options];
  // pdeathsig: a run that is killed leaves no server behind.
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
    url: `git://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
