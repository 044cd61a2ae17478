import type { Logger } from './logger.ts';

/** Warns the 1st, 10th, 100th … time of each message, so that a flood of input cannot fill the log. */
export type SampledWarn = (fields: Record<string, unknown>, message: string) => void;

/** Counts by `message`. Callers use few fixed messages and put what varies into the fields. */
export function createSampledWarn(log: Pick<Logger, 'warn'>): SampledWarn {
  let times: Map<string, number> | undefined; // one of thousands of streams seldom needs it
  return (fields, message) => {
    times ??= new Map();
    const count = (times.get(message) ?? 0) + 1;
    times.set(message, count);
    if (Number.isInteger(Math.log10(count))) log.warn({ ...fields, times: count }, message);
  };
}
