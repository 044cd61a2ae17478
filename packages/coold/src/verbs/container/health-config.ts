import type { Healthcheck } from '@coold/proto';
import { invalid } from '../names.ts';
import { readDuration } from './durations.ts';

const leastIntervalNs = 100e6;
const leastTimeoutNs = 1e9;

/** Returns a healthcheck for libpod's SpecGenerator. @throws VerbError 400 naming the field */
export function healthConfig({ test, interval, timeout, retries, startPeriod }: Healthcheck) {
  const [kind] = test;
  const fits =
    kind === 'NONE'
      ? test.length === 1
      : kind === 'CMD'
        ? test.length > 1
        : kind === 'CMD-SHELL' && test.length === 2;
  if (!fits || test.some(word => word.includes('\0')))
    throw invalid('healthcheck.test', 'expected ["CMD",program,…], ["CMD-SHELL",line] or ["NONE"]');
  const intervalNs = readDuration(interval, 'healthcheck.interval');
  // systemd starts a program on the host for each check: 0 disables checks, and tiny intervals would overload the host.
  if (intervalNs !== undefined && intervalNs > 0 && intervalNs < leastIntervalNs)
    throw invalid('healthcheck.interval', 'expected at least 0.1 s, or 0 for only when it is asked for');
  // Podman's own defaults for values that are left out: 30 s, 30 s, 3 retries, no start period.
  const timeoutNs = readDuration(timeout, 'healthcheck.timeout');
  if (timeoutNs !== undefined && timeoutNs < leastTimeoutNs)
    throw invalid('healthcheck.timeout', 'expected at least 1 s');
  return {
    Test: test,
    Interval: intervalNs ?? 30e9,
    Timeout: timeoutNs ?? 30e9,
    Retries: retries === undefined || retries === 0 ? 3 : retries,
    StartPeriod: readDuration(startPeriod, 'healthcheck.start_period') ?? 0,
  };
}
