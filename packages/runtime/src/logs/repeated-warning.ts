import type { Logger } from './logger.ts';

/** Warns when a reason is new, and once an hour while it stays. Other repetitions are logged at debug level. */
export interface RepeatedWarning {
  warn(reason: string, fields: Readonly<Record<string, unknown>>, line: string): void;
  /** Call when it has succeeded again: the next failure is new, whatever its reason. */
  over(): void;
}

const defaultAgainMs = 3_600_000;

/**
 * Returns a logger for a failure that is retried again and again: a line per attempt would fill the log, and a single
 * line is forgotten by the next morning.
 *
 * @param options.level the level of its lines
 * @param options.againMs after how long the same reason is logged again, in ms
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
