import type { Task } from '../daemon/tasks.ts';
import type { Logger } from '../logs/logger.ts';
import { pause } from '../waits/pause.ts';

/** One thing that is wrong. */
export interface Problem {
  /** What it is about: the same as long as it is the same problem, whatever its text tells of the moment. */
  about: string;
  /** A sentence for people. */
  text: string;
}

export interface Verdict {
  task: Task;
  /** How many problems there were at the last look. */
  count(): number;
}

export interface VerdictOptions {
  /** What is wrong now, as the `status` command of this program says it. */
  judge: () => Promise<readonly Problem[]>;
  log: Logger;
  /** Between two looks, in ms. */
  everyMs?: number;
}

const defaultEveryMs = 15_000;

/**
 * Says in the log what the `status` command calls a problem, once when it is there at two looks in a row, and once when it is over. So the
 * journal also tells what happened while no operator looked, and what has no other line.
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
