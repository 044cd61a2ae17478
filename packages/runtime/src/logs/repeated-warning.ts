import type { Logger } from './logger.ts';

/** Warns when a reason is new, and of one that stays once an hour; in between the line is one for debugging. */
export interface RepeatedWarning {
  warn(reason: string, fields: Readonly<Record<string, unknown>>, line: string): void;
  /** What failed has succeeded: the next failure is new, whatever its reason. */
  over(): void;
}

const defaultAgainMs = 3_600_000;

/**
 * Returns what says a failure that is tried again and again: a line at each attempt would fill the log, and a single line is
 * forgotten by the next morning.
 *
 * @param options.level of the lines that are seen
 * @param options.againMs after how long the same reason is a warning again, in ms
 * @param options.now monotonic, in ms
 */
export function createRepeatedWarning(
  log: Pick<Logger, 'warn' | 'error' | 'debug'>,
  options: { level?: 'warn' | 'error'; againMs?: number; now?: () => number } = {},
): RepeatedWarning {
  const { level = 'warn', againMs = defaultAgainMs, now = () => performance.now() } = options;
  let said: { reason: string; at: number } | undefined;
  return {
    warn(reason, fields, line) {
      const at = now();
      const isKnown = said !== undefined && said.reason === reason && at - said.at < againMs;
      if (!isKnown) said = { reason, at };
      log[isKnown ? 'debug' : level]({ reason, ...fields }, line);
    },
    over() {
      said = undefined;
    },
  };
}
