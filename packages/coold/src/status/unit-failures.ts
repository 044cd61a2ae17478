import { isObject, type Logger, parseJson, runChild, type Task, untilAborted } from '@coold/runtime';
import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

/** A failure of a unit that systemd restarted by itself. */
export interface Restarted {
  /** The number within the last hour. */
  count: number;
  /** systemd's name for the last failure: `oom-kill`, `signal`, `exit-code` and the like. */
  result: string;
  /** The time of the last failure, in ms since 1970. */
  at: number;
}

export interface UnitFailures {
  /** Undefined when a person or the boot started this process, or an hour has passed. */
  restarted(): Restarted | undefined;
  /** Reads once, because failures before this process' start do not change. */
  look: Task;
}

export interface AskedSystemd {
  /** Returns how often systemd has restarted the unit since it was started by hand. */
  restarts(signal: AbortSignal): Promise<number>;
  /** Returns the unit's failures of the last hour, oldest first. */
  failures(signal: AbortSignal): Promise<{ result: string; at: number }[]>;
}

const hourMs = 3_600_000;

/** @param now in ms since 1970 */
export function createUnitFailures(
  systemd: AskedSystemd,
  log: Logger,
  now: () => number = Date.now,
): UnitFailures {
  let known: readonly { result: string; at: number }[] = [];
  const restarted = () => {
    const recent = known.filter(({ at }) => now() - at < hourMs);
    const last = recent.at(-1);
    return last === undefined ? undefined : { count: recent.length, ...last };
  };
  return {
    restarted,
    async look(signal) {
      try {
        const restarts = await systemd.restarts(signal);
        known = restarts === 0 ? [] : (await systemd.failures(signal)).slice(-restarts);
        const found = restarted();
        if (found !== undefined)
          log.warn(
            { result: found.result, failures: found.count, at: new Date(found.at).toISOString() },
            `coold ${endingOf(found.result)}; systemd started it again`,
          );
      } catch (error) {
        if (!signal.aborted) log.debug({ err: error }, 'systemd does not say how coold ended before');
      }
      await untilAborted(signal);
    },
  };
}

/** Explains a result of systemd, as the end of a sentence. Pure. */
export function endingOf(result: string): string {
  switch (result) {
    case 'oom-kill':
      return 'was killed because the memory had run out (oom-kill)';
    case 'signal':
      return 'was killed by a signal, by hand or because the memory had run out (signal)';
    case 'core-dump':
      return 'crashed (core-dump)';
    case 'exit-code':
      return 'ended with an error (exit-code)';
    case 'timeout':
    case 'watchdog':
      return `hung and was killed (${result})`;
    default:
      return `failed (${result})`;
  }
}

/** systemd's message id for a failed unit: SD_MESSAGE_UNIT_FAILURE_RESULT. */
const failedMessage = 'd9b373ed55a64feb8242e02dbe79a49c';
/** systemd's message id for an automatic restart: SD_MESSAGE_UNIT_RESTART_SCHEDULED. */
const scheduledMessage = '5eb03494b6584870a536b337290809b3';
const timeoutMs = 8000;
/** Lines to read: a failure and a restart each. */
const maxLines = 200;

/** Asks this host's systemd and journal. */
export function askSystemd(unit: string): AskedSystemd {
  return {
    async restarts(signal) {
      const args = ['show', '--property', 'NRestarts', '--value', '--', unit];
      const { code, stdout } = await runChild('systemctl', args, { timeoutMs, signal });
      const count = Number(stdout.trim());
      return code === 0 && Number.isInteger(count) ? count : 0;
    },
    async failures(signal) {
      const args = [
        ...['--quiet', '--no-pager', '--output', 'json', '--since', '-1h', '--lines', String(maxLines)],
        ...[`UNIT=${unit}`, `MESSAGE_ID=${failedMessage}`, `MESSAGE_ID=${scheduledMessage}`],
      ];
      const { code, stdout } = await runChild('journalctl', args, { timeoutMs, signal });
      return code === 0 ? readFailures(stdout) : [];
    },
  };
}

/**
 * Parses failures from the journal's JSON, one entry per line, ignoring other entries. A failure without an automatic
 * restart after it ends the series with everything before it: the unit was started by hand while systemd waited, and
 * systemd keeps counting then. A journal without any restart says nothing about that. Pure.
 */
export function readFailures(text: string): { result: string; at: number }[] {
  const entries = text.split('\n').flatMap(readEntry);
  if (!entries.some(entry => entry === 'restart')) return entries.filter(entry => entry !== 'restart');
  let since: { result: string; at: number }[] = [];
  let failed: { result: string; at: number } | undefined;
  for (const entry of entries) {
    if (entry !== 'restart') {
      if (failed !== undefined) since = [];
      failed = entry;
    } else if (failed !== undefined) {
      since.push(failed);
      failed = undefined;
    }
  }
  return failed === undefined ? since : [];
}

function readEntry(line: string): ['restart' | { result: string; at: number }] | [] {
  const entry = parseJson(line);
  if (!isObject(entry)) return [];
  const { MESSAGE_ID: id, UNIT_RESULT: result, __REALTIME_TIMESTAMP: time } = entry;
  if (id === scheduledMessage) return ['restart'];
  const at = Number(time) / 1000;
  return typeof result === 'string' && Number.isFinite(at) ? [{ result, at }] : [];
}

/** Registers the metric of failures. */
export function watchUnitFailures(registry: Registry, failures: Pick<UnitFailures, 'restarted'>): void {
  scrapedMetrics(registry).gauge(
    'coold_unit_failures',
    'How often coold failed within the last hour, for example because it was killed, and was started again by systemd',
    () => failures.restarted()?.count ?? 0,
  );
}
