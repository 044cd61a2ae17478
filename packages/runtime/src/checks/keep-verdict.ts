import type { Task } from '../daemon/tasks.ts';
import type { Logger } from '../logs/logger.ts';
import { pause } from '../waits/pause.ts';

/** One problem. */
export interface Problem {
  /** Identifies the problem, also when its text changes with the moment. */
  about: string;
  /** A sentence for people. */
  text: string;
}

export interface Verdict {
  task: Task;
  /** Returns how many problems the last check found. */
  count(): number;
}

export interface VerdictOptions {
  /** Returns the current problems, as the program's `status` command shows them. */
  judge: () => Promise<readonly Problem[]>;
  log: Logger;
  /** The interval of checks, in ms. */
  everyMs?: number;
}

const defaultEveryMs = 15_000;

/**
 * Logs what the `status` command calls a problem: once when two checks in a row find it, and once when it is over. So
 * the journal also records problems that no operator saw, and problems without a log line of their own.
 */
export function keepVerdict({ judge, log, everyMs = defaultEveryMs }: VerdictOptions): Verdict {
  let seen: ReadonlyMap<string, string> = new Map();
  const said = new Map<string, string>();
  const look = async () => {
    const now = new Map((await judge()).map(({ about, text }) => [about, text]));
    for (const [about, text] of now)
      if (seen.has(about) && !said.has(about)) {
        log.warn({ about }, `PROBLEM: ${text}`);
        said.set(about, text);
      }
    for (const [about, text] of said)
      if (!now.has(about)) {
        log.info({ about }, `no longer a problem: ${text}`);
        said.delete(about);
      }
    seen = now;
  };
  return {
    count: () => seen.size,
    async task(signal) {
      while (!signal.aborted) {
        await pause(everyMs, signal);
        if (signal.aborted) return;
        try {
          await look();
        } catch (error) {
          log.debug({ err: error }, 'the verdict on this program cannot be read; trying again');
        }
      }
    },
  };
}
