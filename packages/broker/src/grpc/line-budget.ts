import type { Logger } from '@coold/runtime';

/** Logs a line, or counts it instead. */
export type LogLine = (level: 'debug' | 'info' | 'warn', fields: object, message: string) => void;

/**
 * Limits lines per second, so that a flood of failures does not become a flood of writes. The first line of a later
 * second tells how many were left out.
 *
 * @param now the monotonic clock, in ms
 */
export function budgetLines(
  log: Pick<Logger, 'debug' | 'info' | 'warn'>,
  perSecond: number,
  now: () => number = () => performance.now(),
): LogLine {
  let second = 0;
  let written = 0;
  let leftOut = 0;
  return (level, fields, message) => {
    const current = Math.floor(now() / 1000);
    if (current !== second) {
      if (leftOut > 0)
        log.warn({ lines: leftOut }, 'lines like the next were left out: too many in a second');
      second = current;
      written = 0;
      leftOut = 0;
    }
    if (written >= perSecond) leftOut += 1;
    else {
      written += 1;
      log[level](fields, message);
    }
  };
}
