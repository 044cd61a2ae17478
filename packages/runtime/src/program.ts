import { BadValue } from './bad-value.ts';
import { type Command, type Config, fromEnvironmentFile, type Options, parseConfig } from './config.ts';
import { readEnvironmentFile } from './environment-file.ts';
import { type HeapUse, keepHeap } from './heap.ts';
import type { LogFilter } from './log-filter.ts';
import type { Logger } from './logger.ts';
import { createReadiness, type Readiness } from './readiness.ts';
import { type Outcome, runTasks, type Task } from './tasks.ts';

export interface Invocation {
  argv: readonly string[];
  version: string;
}

/**
 * Runs one command to its exit code: reads its configuration, from its unit's file too where it names one, answers --help and --version, and turns an error into one
 * line on stderr and exit 1. A bad value is exit 2 (docs/contract.md §8).
 */
export async function runCommand<T extends Options>(
  command: Command<T>,
  { argv, version }: Invocation,
  body: (config: Config<T>, unknownEnv: string[]) => Promise<number>,
): Promise<number> {
  const { environmentFile } = command;
  const file = environmentFile === undefined ? {} : await readEnvironmentFile(environmentFile.path);
  const env = { ...fromEnvironmentFile(command, file), ...process.env };
  const parsed = parseConfig(command, { argv, env, version });
  if (parsed.kind === 'exit') {
    (parsed.code === 0 ? process.stdout : process.stderr).write(`${parsed.text}\n`);
    return parsed.code;
  }
  try {
    return await body(parsed.config, parsed.unknownEnv);
  } catch (error) {
    process.stderr.write(`${command.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof BadValue ? 2 : 1;
  }
}

export interface Daemon<C> {
  filter: (config: C) => LogFilter;
  /** May load what the tasks need only now, so that --help and --version answer without it. */
  tasks: (
    config: C,
    log: Logger,
    readiness: Readiness,
  ) => Record<string, Task> | Promise<Record<string, Task>>;
  /** What tasks get to stop in, in ms. */
  graceMs: number;
  heap: HeapUse;
}

/** Runs a command that stays: its tasks side by side until a signal, or until the first of them ends. */
export function runDaemon<T extends Options>(
  command: Command<T>,
  invocation: Invocation,
  daemon: Daemon<Config<T>>,
): Promise<number> {
  return runCommand(command, invocation, async (config, unknownEnv) => {
    keepHeap(daemon.heap);
    // Loaded here: --help and --version answer without it.
    const { createLogger } = await import('./logger.ts');
    const log = createLogger(command.name, daemon.filter(config));
    failLoudly(log);
    for (const name of unknownEnv)
      log.warn({ name }, 'environment variable that this program does not know; ignored');
    log.info({ version: invocation.version, pid: process.pid, node: process.version }, 'starting');
    const stop = stopOnSignals(log);
    // Signal handlers do not keep a Node process: one whose tasks all wait for something would end with exit 13.
    const stay = setInterval(() => {}, 2 ** 30);
    const outcome = await runTasks(await daemon.tasks(config, log, createReadiness(log)), {
      stop,
      graceMs: daemon.graceMs,
    });
    clearInterval(stay);
    return conclude(outcome, log);
  });
}

/** Aborts on SIGTERM or SIGINT; a second one is left to its default, which ends the process at once. */
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

/** A fault nobody caught ends the process with a line that says so; systemd restarts it. */
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
      log.error({ task, err: cause }, `task ${task} ${why}; the process ends with it`);
      return 1;
    }
    case 'stuck':
      log.error({ tasks: outcome.tasks }, 'these tasks did not stop in time; the process ends without them');
      return 1;
  }
}
