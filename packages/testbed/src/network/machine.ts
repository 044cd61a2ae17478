import { type ChildProcess, spawn } from 'node:child_process';
import type { ChildResult } from '@coold/runtime';
import { createNetns, type ExecOptions, type Netns } from './netns.ts';

/**
 * This machine as it came from Debian, to be changed at will: its files with nothing in /usr/local and /run, what is
 * written kept apart and dropped at the end, and a network of its own with only loopback. No systemd runs in it.
 */
export interface Machine {
  netns: Netns;
  /** Runs a program in it. The environment holds only PATH and the given variables. */
  exec(program: string, args: readonly string[], options?: MachineExecOptions): Promise<ChildResult>;
  /** Starts a program in it that stays. */
  start(program: string, args: readonly string[], env?: Record<string, string>): ChildProcess;
  /** Where its files are, seen from within its mount namespace. */
  root: string;
  close(): Promise<void>;
}

export interface MachineExecOptions extends Omit<ExecOptions, 'env'> {
  env?: Record<string, string>;
}

/** Debian's own: whatever else is on the PATH here is not on a fresh machine. */
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Makes a machine (needs root). @param without files of this machine that a minimal one lacks */
export async function createMachine(without: readonly string[] = []): Promise<Machine> {
  const netns = await createNetns();
  const mount = (...args: string[]) => netns.exec('mount', args);
  const base = '/mnt';
  const root = `${base}/root`;
  await mount('-t', 'tmpfs', 'machine', base);
  await netns.exec('mkdir', [`${base}/upper`, `${base}/work`, root]);
  await mount(
    '-t',
    'overlay',
    'machine',
    '-o',
    `lowerdir=/,upperdir=${base}/upper,workdir=${base}/work`,
    root,
  );
  await mount('--rbind', '/proc', `${root}/proc`);
  await mount('--rbind', '/sys', `${root}/sys`);
  await mount('--rbind', '/dev', `${root}/dev`);
  await mount('-t', 'tmpfs', 'machine', `${root}/run`);
  await mount('-t', 'tmpfs', 'machine', `${root}/usr/local`);
  const inside = (program: string, args: readonly string[], env: Record<string, string>) => [
    ...[root, 'env', '-i', path, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    ...[program, ...args],
  ];
  const exec: Machine['exec'] = (program, args, { env = {}, ...options } = {}) =>
    netns.exec('chroot', inside(program, args, env), options);
  if (without.length > 0) await exec('rm', ['-rf', '--', ...without]);
  const started: ChildProcess[] = [];
  return {
    netns,
    root,
    exec,
    start(program, args, env = {}) {
      const enter = ['nsenter', '-t', String(netns.pid), '-n', '-m', '--', 'chroot'];
      // pdeathsig: the program dies with a test run that is killed.
      const alone = ['--pdeathsig', 'KILL', '--', ...enter, ...inside(program, args, env)];
      const child = spawn('setpriv', alone, { stdio: ['ignore', 'inherit', 'inherit'] });
      started.push(child);
      return child;
    },
    async close() {
      await Promise.all(started.map(ended));
      await netns.close();
    },
  };
}

/** setpriv, nsenter, chroot and env each become the next, so the child is the program itself. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}
