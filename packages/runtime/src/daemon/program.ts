import { BadValue } from '../config/bad-value.ts';
import {
  type Command,
  type Config,
  fromEnvironmentFile,
  type Options,
  type Overruled,
  parseConfig,
} from '../config/config.ts';
import { readEnvironmentFile } from '../config/environment-file.ts';
import { journalPrefix } from '../logs/journal.ts';
import type { LogFilter } from '../logs/log-filter.ts';
import type { Logger } from '../logs/logger.ts';
import { errorMessage } from '../unknown-values.ts';
import { UnusableError } from '../unusable.ts';
import { type HeapUse, keepHeap } from './heap.ts';
import { keepLean } from './keep-lean.ts';
import { nameProcess } from './process-name.ts';
import { createReadiness, type Readiness } from './readiness.ts';
import { type Outcome, runTasks, type Task } from './tasks.ts';

export interface Invocation {
  argv: readonly string[];
  version: string;
}

/**
 * Runs one command and returns its exit code. Reads the configuration from flags, the environment and, where the command names
 * one, the environment file of its unit. Answers --help and --version. An error becomes one line on stderr and exit code 1, a
 * bad value exit code 2 (docs/contract.md §8). Never rejects.
 */
export async function runCommand<T extends Options>(
  command: Command<T>,
  { argv, version }: Invocation,
  body: (config: Config<T>, unknownEnv: string[], overruled: Overruled[]) => Promise<number>,
): Promise<number> {
  const { environmentFile } = command;
  const file = environmentFile === undefined ? {} : await readEnvironmentFile(environmentFile.path);
  const env = { ...fromEnvironmentFile(command, file), ...process.env };
  const parsed = parseConfig(command, { argv, env, version });
  if (parsed.kind === 'exit') {
    if (parsed.code === 0) process.stdout.write(`${parsed.text}\n`);
    else complain(parsed.text);
    return parsed.code;
  }
  try {
    return await body(parsed.config, parsed.unknownEnv, parsed.overruled);
  } catch (error) {
    complain(`${command.name}: ${errorMessage(error)}`);
    return error instanceof BadValue ? 2 : 1;
  }
}

function complain(line: string): void {
  process.stderr.write(`${journalPrefix('error')}${line}\n`);
}

/** Returns the tasks by name. */
export type MakeTasks<C> = (
  config: C,
  log: Logger,
  readiness: Readiness,
) => Record<string, Task> | Promise<Record<string, Task>>;

export interface Daemon<C> {
  filter: (config: C) => LogFilter;
  /** Imports the modules of the daemon, so that --help and --version answer without them, and returns what makes its tasks. */
  load: () => Promise<MakeTasks<C>>;
  /** How long tasks get to stop, in ms. */
  graceMs: number;
  heap: HeapUse;
}

/** Runs a daemon: its tasks run concurrently until SIGTERM or SIGINT, or until the first of them ends. Returns the exit code. */
export function runDaemon<T extends Options>(
  command: Command<T>,
  invocation: Invocation,
  daemon: Daemon<Config<T>>,
): Promise<number> {
  return runCommand(command, invocation, async (config, unknownEnv, overruled) => {
    nameProcess(command.name);
    // Imported here, so that --help and --version answer without it.
    const { createLogger } = await import('../logs/logger.ts');
    const log = createLogger(command.name, daemon.filter(config));
    failLoudly(log);
    for (const name of unknownEnv) log.warn({ name }, 'ignoring an unknown environment variable');
    for (const { name, by } of overruled)
      log.warn({ name, by }, `${name} is ignored: ${by} sets the same to another value`);
    log.info({ version: invocation.version, pid: process.pid, node: process.version }, 'starting');
    const stop = stopOnSignals(log);
    // Signal handlers do not keep Node running: without a timer, a process whose tasks all wait would end with exit code 13.
    const stay = setInterval(() => {}, 2 ** 30);
    const makeTasks = await daemon.load();
    // Set after the modules are loaded, because V8 discards compiled code, Node's own and that of the compile cache,
    // that was made with other flags.
    keepHeap(daemon.heap);
    const tasks = await makeTasks(config, log, createReadiness(log));
    const outcome = await runTasks({ ...tasks, lean: keepLean({ log }) }, { stop, graceMs: daemon.graceMs });
    clearInterval(stay);
    return conclude(outcome, log);
  });
}

/** Returns a signal that aborts on SIGTERM or SIGINT. A second one has its default effect: the process ends at once. */
function stopOnSignals(log: Logger): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping');
      stop.abort();
    });
  }
  return stop.signal;
}

/** Logs an uncaught error and ends the process; systemd restarts it. */
function failLoudly(log: Logger): void {
  process.on('uncaughtException', (error, origin) => {
    log.error({ err: error, origin }, 'uncaught error: the process ends now');
    process.exit(1);
  });
}

/** Logs how the tasks ended and returns the exit code. */
function conclude(outcome: Outcome, log: Logger): number {
  switch (outcome.kind) {
    case 'stopped':
      log.info('stopped');
      return 0;
    case 'failed': {
      const { task, cause } = outcome;
      const why = cause instanceof Error ? `failed: ${cause.message}` : 'ended by itself';
      // Without a stack trace for a fault outside the program: systemd restarts it every two seconds, and a stack explains nothing.
      const fields = cause instanceof UnusableError ? { task } : { task, err: cause };
      log.error(fields, `task ${task} ${why}; the process ends with it`);
      return 1;
    }
    case 'stuck':
      log.error({ tasks: outcome.tasks }, 'these tasks did not stop in time; the process ends without them');
      return 1;
  }
}
