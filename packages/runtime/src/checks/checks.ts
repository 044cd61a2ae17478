import { errorMessage } from '../unknown-values.ts';
import { orAborted } from '../waits/or-aborted.ts';

/**
 * The result of a check. `warn`: it works now and may not later, or it could not be checked. `fail`: it does not work.
 */
export type Level = 'ok' | 'warn' | 'fail';

/** One thing that a check found, and what the operator should do about it. */
export interface Finding {
  level: Level;
  /** What was found, as one sentence without its full stop. */
  found: string;
  /** What to do about it. A check that passes has none. */
  cure?: string;
}

/** Checks one thing of this machine. */
export interface Check {
  /** One or two words, printed before each of its lines. */
  name: string;
  /** When it throws, the check could not be made. The signal aborts when its time is over. */
  look(signal: AbortSignal): Promise<Finding | readonly Finding[]>;
}

/** A finding, and the name of its check. */
export type CheckLine = { check: string } & Finding;

export const ok = (found: string): Finding => ({ level: 'ok', found });
export const warn = (found: string, cure: string): Finding => ({ level: 'warn', found, cure });
export const fail = (found: string, cure: string): Finding => ({ level: 'fail', found, cure });

/** Longer than the programs that checks run take on a busy machine, in ms. */
const defaultTimeoutMs = 15_000;

/**
 * Runs all checks concurrently. One that throws, or takes longer than `timeoutMs`, becomes a warning with the reason,
 * and does not delay the others. Never rejects.
 *
 * @returns the findings in the order of the checks
 */
export async function runChecks(
  checks: readonly Check[],
  timeoutMs = defaultTimeoutMs,
): Promise<CheckLine[]> {
  const lines = await Promise.all(
    checks.map(async ({ name, look }) => {
      const findings = await within(look, timeoutMs);
      return findings.map(finding => ({ check: name, ...finding }));
    }),
  );
  return lines.flat();
}

async function within(look: Check['look'], timeoutMs: number): Promise<readonly Finding[]> {
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const found = await orAborted(look(late), late);
    return 'level' in found ? [found] : found;
  } catch (error) {
    if (late.aborted)
      return [
        warn(
          `not known: no answer within ${timeoutMs} ms`,
          'check that the machine is not overloaded, and run this again',
        ),
      ];
    const why = errorMessage(error);
    return [warn(`not known: ${why}`, cureOf(error))];
  }
}

function cureOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EACCES' || code === 'EPERM'
    ? 'run this as root'
    : 'correct what the message names, and run this again';
}

/** Returns 0 when nothing fails, else 1. */
export function checksExitCode(lines: readonly CheckLine[]): 0 | 1 {
  return lines.some(({ level }) => level === 'fail') ? 1 : 0;
}

/**
 * Renders one line per finding, its cure below it, and a count at the end. Control characters in texts of other hosts
 * are replaced. Pure.
 */
export function renderChecks(lines: readonly CheckLine[]): string {
  const width = Math.max(0, ...lines.map(({ check }) => check.length));
  const count = (wanted: Level) => lines.filter(({ level }) => level === wanted).length;
  return [
    ...lines.flatMap(({ check, level, found, cure }) => [
      `${level.padEnd(4)}  ${check.padEnd(width)}  ${found}`,
      ...(cure === undefined ? [] : [`      ${' '.repeat(width)}  -> ${cure}`]),
    ]),
    '',
    `${count('ok')} ok, ${count('warn')} warn, ${count('fail')} fail`,
  ]
    .map(line => `${line.replaceAll(/\p{Cc}/gu, '?')}\n`)
    .join('');
}

/** Returns the same as an object for programs. Pure. */
export function checksObject(lines: readonly CheckLine[]): object {
  const count = (wanted: Level) => lines.filter(({ level }) => level === wanted).length;
  return { ok: count('ok'), warn: count('warn'), fail: count('fail'), checks: lines };
}
