import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A line of a program's JSON log. */
export type LogLine = Record<string, unknown> & { msg?: string };

/** One of ours, running as a process of its own. It dies with the process that started it. */
export interface Program extends AsyncDisposable {
  pid: number;
  /** Everything it has logged so far. */
  lines: LogLine[];
  /** Resolves with the first log line that a test accepts, past or future. @throws Error with the log when none comes in time */
  logged(wanted: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** The sources of our programs. */
export const programs = {
  broker: fileURLToPath(new URL('../../../broker/src/main.ts', import.meta.url)),
  builder: fileURLToPath(new URL('../../../builder/src/main.ts', import.meta.url)),
  coold: fileURLToPath(new URL('../../../coold/src/main.ts', import.meta.url)),
};

export interface ProgramOptions {
  args?: string[];
  env?: Record<string, string>;
  /** The Node that runs it. Default: the one that runs this. */
  node?: string;
  /** The pid of a process whose network and mount namespaces the program joins. */
  inside?: number;
  /** Called with each line of stderr as it arrives. */
  onLine?: (line: string) => void;
}

/** Starts a program of ours from its source. */
export function startProgram(name: keyof typeof programs, options: ProgramOptions): Program {
  return startScript(programs[name], options);
}

/** Starts a script with this Node. Its environment is `env` and the PATH, nothing else. */
export function startScript(
  path: string,
  { args = [], env = {}, node = process.execPath, inside, onLine }: ProgramOptions,
): Program {
  const name = basename(path);
  const enter = inside === undefined ? [] : ['nsenter', '-t', String(inside), '-n', '-m', '--'];
  // pdeathsig: the program dies with a test run that is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...enter, node, path, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: LogLine[] = [];
  const watchers = new Set<(line: LogLine) => void>();
  createInterface({ input: child.stderr }).on('line', text => {
    onLine?.(text);
    const line = parseLine(text);
    lines.push(line);
    for (const watch of watchers) watch(line);
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    pid: child.pid ?? -1,
    lines,
    exited,
    logged(wanted, timeoutMs = 15_000) {
      const there = lines.find(wanted);
      if (there !== undefined) return Promise.resolve(there);
      return new Promise((resolve, reject) => {
        const give = (why: string) => {
          settle();
          reject(
            new Error(`${name}: ${why}; its log:\n${lines.map(line => JSON.stringify(line)).join('\n')}`),
          );
        };
        const timer = setTimeout(() => give(`no such line within ${timeoutMs} ms`), timeoutMs);
        const watch = (line: LogLine) => {
          if (!wanted(line)) return;
          settle();
          resolve(line);
        };
        const settle = () => {
          clearTimeout(timer);
          watchers.delete(watch);
        };
        watchers.add(watch);
        void exited.then(({ code, signal }) => give(`ended with ${signal ?? `exit ${code}`}`));
      });
    },
    signal: signal => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited.catch(() => {});
    },
  };
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { msg: text };
  }
}
