// Starts the builder as a process of its own in the namespaces of a real Podman, with its storage; for tests.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PodmanService } from '@coold/testbed';
import type { Frame } from '../src/frames.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

export interface Running {
  process: ChildProcess;
  workDir: string;
  /** Resolves with the first frame on stdout that `wanted` accepts. @throws Error when the builder ends without one */
  frame(wanted: (frame: Frame) => boolean): Promise<Frame>;
  /** How it ended, and the outcome on disk. */
  ended: Promise<Ended>;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
  stdout: Frame[];
  /** Every line of events.ndjson. */
  events: Frame[];
  result: Record<string, unknown> | undefined;
  error: { code: number; message: string; stage: string } | undefined;
  /** Names in the work folder. */
  files: string[];
}

export interface Start {
  workDir: string;
  /** The content of request.json. Absent: no request.json. */
  request?: object;
  args?: string[];
  env?: Record<string, string>;
  /** Programs that run the builder, for example with a limit. */
  under?: string[];
}

export async function startBuilder(podman: PodmanService, start: Start): Promise<Running> {
  const { workDir, request, env = {}, under = [] } = start;
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  const requestPath = join(workDir, 'request.json');
  if (request !== undefined) await writeFile(requestPath, JSON.stringify(request), { mode: 0o600 });
  const program = [process.execPath, main, ...(start.args ?? [requestPath, workDir])];
  const command = [...podman.beside, ...under, ...program];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    env: { PATH: process.env['PATH'] ?? '', ...podman.environment, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: Frame[] = [];
  const watchers = new Set<() => void>();
  let rest = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    stdout.push(...lines.map(line => JSON.parse(line) as Frame));
    for (const watch of watchers) watch();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      outcomeOf(workDir).then(outcome => resolve({ code, signal, stderr, stdout, ...outcome }), reject);
    });
  });
  return {
    process: child,
    workDir,
    ended,
    frame: wanted =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = stdout.find(wanted);
          if (found !== undefined) resolve(found);
        };
        watchers.add(look);
        look();
        ended.then(end => reject(new Error(`ended before: ${JSON.stringify(end)}`)), reject);
      }),
  };
}

export async function outcomeOf(workDir: string) {
  const read = (name: string) => readFile(join(workDir, name), 'utf8').catch(() => undefined);
  const parse = (text: string | undefined) => (text === undefined ? undefined : JSON.parse(text));
  const lines = ((await read('events.ndjson')) ?? '').split('\n');
  if (lines.pop() !== '') throw new Error('the last line of events.ndjson has no end');
  return {
    events: lines.map(line => JSON.parse(line) as Frame),
    result: parse(await read('result.json')) as Ended['result'],
    error: parse(await read('error.json')) as Ended['error'],
    files: await readdir(workDir).catch(() => []),
  };
}
