import { errorMessage } from '../unknown-values.ts';
import { type Finding, fail, ok, warn } from './checks.ts';
import { endsSoon, type Life } from './life.ts';

/** The validity period of a token or certificate, or why it cannot be used. */
export type LifeLook = { kind: 'life'; life: Life | undefined } | { kind: 'unusable'; why: string };

/** Turns the result of `read` into that. Never rejects. */
export function lookAtLife(read: () => Promise<Life | undefined>): Promise<LifeLook> {
  return read().then(
    life => ({ kind: 'life', life }),
    (error: unknown) => ({ kind: 'unusable', why: errorMessage(error) }),
  );
}

/** The clocks of two machines that follow time servers differ by less than this, in ms. */
const leewayMs = 60_000;

/** Judges whether a token or certificate is valid now, and will be in two weeks. Pure. @param now in ms since 1970 */
export function judgeLife(what: { name: string; renewal: string }, look: LifeLook, now: number): Finding {
  const { name, renewal } = what;
  if (look.kind === 'unusable') return fail(`${name} cannot be used: ${look.why}`, renewal);
  const { life } = look;
  if (life === undefined) return warn(`${name} does not say when it ends`, renewal);
  const ends = new Date(life.ends).toISOString();
  if (life.ends <= now) return fail(`${name} ended at ${ends}`, renewal);
  if (life.begins !== undefined && life.begins > now + leewayMs)
    return fail(
      `${name} begins at ${new Date(life.begins).toISOString()}, which is later than now`,
      'check the clock of this machine: `timedatectl`',
    );
  return endsSoon(life, now) ? warn(`${name} ends at ${ends}`, renewal) : ok(`${name} is good until ${ends}`);
}
