import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adopt, keptMs, keptReadMs } from './adoption.ts';
import { failed } from './folder/build-outcome.ts';
import type { FoundFolder } from './folder/work-folder.ts';
import type { UnitState } from './unit/unit-state.ts';

const now = 10 * keptMs;
const folder: FoundFolder = {
  request: { stack: 'static' },
  queuedAt: undefined,
  cancelled: false,
  outcome: undefined,
  changedAt: now,
  readAt: undefined,
  nonce: '',
};
const outcome = failed(422, 'x', 'git');
const active: UnitState = { kind: 'active' };
const absent: UnitState = { kind: 'absent' };
const over: UnitState = { kind: 'over', ending: { result: 'signal', how: 'killed', status: 9 } };

describe('a work folder of an earlier coold', () => {
  it.each<[string, Partial<FoundFolder>, UnitState | undefined, string]>([
    ['of a unit that lives', {}, active, 'supervise'],
    ['whose outcome is there while its unit ends', { outcome }, active, 'supervise'],
    ['of which systemd does not say whether it lives', {}, undefined, 'supervise'],
    ['that waits, and systemd does not say whether it still does', { queuedAt: 5 }, undefined, 'ask'],
    [
      'that waits and was cancelled, and systemd says nothing',
      { queuedAt: 5, cancelled: true },
      undefined,
      'supervise',
    ],
    ['that waits', { queuedAt: 5 }, absent, 'queue'],
    ['whose unit was started and whose marker was not removed', { queuedAt: 5 }, active, 'supervise'],
    ['that waits and was cancelled', { queuedAt: 5, cancelled: true }, absent, 'conclude'],
    ['with an outcome', { outcome }, absent, 'conclude'],
    ['whose unit failed', {}, over, 'conclude'],
    ['with neither outcome nor unit', {}, absent, 'conclude'],
    ['without a request', { request: undefined }, absent, 'remove'],
    ['whose outcome is a day old', { outcome, changedAt: now - keptMs }, absent, 'remove'],
    ['whose outcome is almost a day old', { outcome, changedAt: now - keptMs + 1 }, absent, 'conclude'],
    ['whose outcome was read an hour ago', { outcome, readAt: now - keptReadMs }, absent, 'remove'],
    ['whose outcome was read a while ago', { outcome, readAt: now - keptReadMs + 1 }, absent, 'conclude'],
  ])('%s', (_name, found, state, decision) => {
    expect(adopt({ ...folder, ...found }, state, now)).toBe(decision);
  });

  it('is never started or removed while its unit may live, and never started twice', () => {
    const found = fc.record({
      request: fc.constantFrom(undefined, {}),
      queuedAt: fc.constantFrom(undefined, 5),
      cancelled: fc.boolean(),
      outcome: fc.constantFrom(undefined, outcome),
      changedAt: fc.constantFrom(0, now),
      readAt: fc.constantFrom(undefined, 0, now),
      nonce: fc.constant(''),
    });
    fc.assert(
      fc.property(found, fc.constantFrom(undefined, active, absent, over), (found, state) => {
        const decision = adopt(found, state, now);
        if (state?.kind === 'active') expect(decision).toBe('supervise');
        if (state === undefined) expect(decision).toMatch(/^(supervise|ask)$/);
        if (decision === 'queue' || decision === 'ask')
          expect([found.outcome, found.cancelled]).toEqual([undefined, false]);
        if (decision === 'remove' && found.outcome === undefined) expect(found.request).toBeUndefined();
      }),
    );
  });
});
