import type { Logger } from './logger.ts';

/** Logs what is ignored: the 1st time, the 10th, the 100th, so that nobody can fill the log. */
export type Tally = (fields: Record<string, unknown>, message: string) => void;

/** Counts by message; messages are few and fixed, what varies is in the fields. */
export function createTally(log: Pick<Logger, 'warn'>): Tally {
  let times: Map<string, number> | undefined; // one of thousands of streams seldom needs it
  return (fields, message) => {
    times ??= new Map();
    const count = (times.get(message) ?? 0) + 1;
    times.set(message, count);
    if (Number.isInteger(Math.log10(count))) log.warn({ ...fields, times: count }, message);
  };
}
