import { Reason as ReasonNumber } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { buildReason, readBuildReason } from './build-reason.ts';
import { codeOf, generalReason, readReason, reasonNumber, reasons } from './reason.ts';

const unknownNumber = 65_535 as ReasonNumber;
const codes = [400, 401, 403, 404, 405, 408, 409, 413, 415, 499, 500, 501, 502, 503, 504, 507];

describe('the reasons', () => {
  it.each(reasons)('$word has a code, and says what happened and what to do', ({ word, ...reason }) => {
    expect(word).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
    expect(codeOf(word)).toBe(reason.code);
    expect(readReason(reasonNumber(word), reason.code)).toBe(word);
    expect([...codes, 422]).toContain(reason.code);
    for (const sentence of [reason.means, reason.remedy])
      expect(sentence).toMatch(/^(?:[A-Z]|coold ).{4,}[^.]$/);
  });

  it('are all that the .proto has', () => {
    expect(reasons.map(({ number }) => number)).not.toContain(ReasonNumber.UNSPECIFIED);
    expect(reasons.length).toBeGreaterThan(60);
  });
});

describe('of another program', () => {
  it.each(codes)('a %i without a reason has the general one of that code', code => {
    expect(codeOf(generalReason(code))).toBe(code);
    expect(readReason(ReasonNumber.UNSPECIFIED, code)).toBe(generalReason(code));
    expect(readReason(unknownNumber, code), 'one that is newer').toBe(generalReason(code));
  });

  it('a code that nothing says is the request’s fault below 500, and a fault above', () => {
    expect([418, 0, 7, 599].map(generalReason)).toEqual([
      ...['invalid_request', 'internal_error', 'internal_error', 'internal_error'],
    ]);
  });

  it('a reason that belongs to another code is not accepted', () => {
    expect(readReason(ReasonNumber.CONTAINER_NOT_FOUND, 503)).toBe('unavailable');
  });

  it('a build without a reason has what code and stage say', () => {
    expect(readBuildReason(ReasonNumber.UNSPECIFIED, 422, 'git')).toBe('repository_unusable');
    expect(readBuildReason(ReasonNumber.BUILD_REFUSED, 422, 'git')).toBe('build_refused');
    expect(readBuildReason(unknownNumber, 500, 'memory')).toBe('build_out_of_memory');
  });
});

it.each<[number, string, string]>([
  [422, 'git', 'repository_unusable'],
  [422, 'stack', 'build_refused'],
  [422, 'buildah', 'build_step_failed'],
  [499, 'cancel', 'build_cancelled'],
  [500, 'memory', 'build_out_of_memory'],
  [500, 'builder', 'build_failed'],
  [501, 'stack', 'not_supported'],
  [502, 'git', 'repository_unreachable'],
  [502, 'push', 'registry_failed'],
  [504, 'timeout', 'build_timeout'],
  [507, 'buildah', 'no_space'],
])('a build that ends with %i in stage %s: %s', (code, stage, reason) => {
  expect(buildReason(code, stage)).toBe(reason);
  expect(reasons).toContainEqual(expect.objectContaining({ word: reason, code }));
});
