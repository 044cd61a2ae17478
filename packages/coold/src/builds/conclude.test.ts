import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conclude, type Facts } from './conclude.ts';
import { type BuildOutcome, failed } from './folder/build-outcome.ts';
import type { UnitEnding } from './unit/unit-state.ts';

const limits = { memoryMax: '2G', timeoutSecs: 1800 };
const ok: BuildOutcome = {
  kind: 'ok',
  ok: { digest: `sha256:${'a'.repeat(64)}`, registry_ref: 'x@y', duration_ms: 1, stack_used: 'static' },
};
const stopped = failed(499, 'cancelled', 'cancel');
const badRef = failed(422, 'no such ref', 'git');
const exited = (status: number): UnitEnding => ({
  result: status === 0 ? 'success' : 'exit-code',
  how: 'exited',
  status,
});
const timeout: UnitEnding = { result: 'timeout', how: 'exited', status: 130 };
const oom: UnitEnding = { result: 'oom-kill', how: 'exited', status: 130 };
const shot: UnitEnding = { result: 'signal', how: 'killed', status: 9 };
const nothing = failed(500, 'builder exited without result file', 'builder');

describe('the outcome of a build', () => {
  it.each<[string, Partial<Facts>, BuildOutcome]>([
    ['built', { recorded: ok }, ok],
    ['built, and its cancel came too late', { recorded: ok, cancelled: true }, ok],
    ['not built', { recorded: badRef, ending: exited(1) }, badRef],
    ['cancelled', { recorded: stopped, cancelled: true, ending: exited(130) }, stopped],
    ['cancelled before it started', { cancelled: true }, stopped],
    ['cancelled, and killed since it did not stop', { cancelled: true, ending: shot }, stopped],
    [
      'out of its time',
      { recorded: stopped, ending: timeout },
      failed(504, 'the build took longer than 1800 s', 'timeout'),
    ],
    [
      'out of its time without a word',
      { ending: timeout },
      failed(504, 'the build took longer than 1800 s', 'timeout'),
    ],
    ['cancelled at the end of its time', { recorded: stopped, cancelled: true, ending: timeout }, stopped],
    [
      'out of memory',
      { recorded: stopped, ending: oom },
      failed(500, 'the build ran out of memory: MemoryMax=2G', 'memory'),
    ],
    [
      'stopped by somebody',
      { recorded: stopped, ending: exited(130) },
      failed(500, 'the build was stopped from outside', 'builder'),
    ],
    ['killed', { ending: shot }, nothing],
    ['gone with the power of its host', {}, nothing],
  ])('%s', (_name, facts, outcome) => {
    expect(conclude({ recorded: undefined, cancelled: false, ending: undefined, limits, ...facts })).toEqual(
      outcome,
    );
  });

  it('of a tool that was killed names the limit that may have done it, once', () => {
    const recorded = failed(500, 'Error: while running: exit status 137', 'buildah');
    const facts = { recorded, cancelled: false, ending: exited(1), limits };
    const first = conclude(facts);
    expect(first).toMatchObject({
      err: { code: 500, message: expect.stringMatching(/137; .*MemoryMax=2G$/) },
    });
    expect(conclude({ ...facts, recorded: first })).toEqual(first);
    const other = { ...facts, recorded: failed(422, 'while running runtime: exit status 1', 'buildah') };
    expect(conclude(other)).toEqual(other.recorded);
    const outputTail = '{"log":"container exited on killed"}';
    expect(conclude({ ...other, outputTail })).toMatchObject({
      err: { code: 422, message: expect.stringContaining('MemoryMax=2G') },
    });
  });

  it('does not change when it is recorded and concluded again after its unit is gone', () => {
    const outcome = fc.oneof(
      fc.constant(undefined),
      fc.constant(ok),
      fc
        .record({
          code: fc.constantFrom(422, 499, 500, 504),
          message: fc.string(),
          stage: fc.constantFrom('git', 'buildah', 'cancel'),
        })
        .map(({ code, message, stage }) => failed(code, message, stage)),
    );
    const ending = fc.constantFrom(undefined, exited(0), exited(1), exited(130), timeout, oom, shot);
    fc.assert(
      fc.property(outcome, fc.boolean(), ending, (recorded, cancelled, ending) => {
        const first = conclude({ recorded, cancelled, ending, limits });
        expect(conclude({ recorded: first, cancelled, ending: undefined, limits })).toEqual(first);
        if (first.kind === 'err' && first.err.code === 499) expect(cancelled).toBe(true);
      }),
    );
  });
});
