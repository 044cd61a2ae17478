import { errorMessage } from '../unknown-values.ts';
import { orAborted } from '../waits/or-aborted.ts';

/** How a check came out. `warn`: it works now and may not later, or it could not be looked at. `fail`: it does not work. */
export type Level = 'ok' | 'warn' | 'fail';

/** One thing that a check found, and what its operator does about it. */
export interface Finding {
  level: Level;
  /** What is there, in one sentence without its full stop. */
  found: string;
  /** What to do about it. A check that passes has none. */
  cure?: string;
}

/** A look at one thing of this machine. */
export interface Check {
  /** One or two words, as they stand before each of its lines. */
  name: string;
  /** May throw: then the check could not be made. The signal fires when its time is over. */
  look(signal: AbortSignal): Promise<Finding | readonly Finding[]>;
}

/** A finding, and which check it is of. */
export type CheckLine = { check: string } & Finding;

export const ok = (found: string): Finding => ({ level: 'ok', found });
export const warn = (found: string, cure: string): Finding => ({ level: 'warn', found, cure });
export const fail = (found: string, cure: string): Finding => ({ level: 'fail', found, cure });

/** Longer than the programs that are asked take on a busy machine, in ms. */
const defaultTimeoutMs = 15_000;

/**
 * Makes all checks beside each other. One that throws, or takes longer than `timeoutMs`, is a warning that says why it could not
 * be made; it holds up none of the others. Never rejects.
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

/** 0: nothing fails; 1: something does. */
export function checksExitCode(lines: readonly CheckLine[]): 0 | 1 {
  return lines.some(({ level }) => level === 'fail') ? 1 : 0;
}

/** One line a finding, its cure below it, and a count at the end. What others have sent is shown without control characters. Pure. */
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

/** The same for machines. Pure. */
export function checksObject(lines: readonly CheckLine[]): object {
  const count = (wanted: Level) => lines.filter(({ level }) => level === wanted).length;
  return { ok: count('ok'), warn: count('warn'), fail: count('fail'), checks: lines };
}
