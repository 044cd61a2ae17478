import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failed, readError, readResult, toResponse } from './build-outcome.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const result = { digest, registry_ref: `localhost/app@${digest}`, duration_ms: 61_000, stack_used: 'static' };

describe('what the builder recorded', () => {
  it('is read, and sent to the broker', () => {
    const outcome = readResult(JSON.stringify(result)) ?? expect.fail();
    expect(toResponse(outcome).body).toMatchObject({
      case: 'ok',
      value: { digest, registryRef: result.registry_ref, durationMs: 61_000n, stackUsed: 4 },
    });
    const error = readError('{"code":422,"message":"no such ref","stage":"git"}') ?? expect.fail();
    expect(toResponse(error).body).toMatchObject({ case: 'err', value: { code: 422, stage: 'git' } });
  });

  it.each([
    ...['', 'null', '[]', '{', '{}'],
    JSON.stringify({ ...result, digest: 'sha256:1' }),
    JSON.stringify({ ...result, duration_ms: -1 }),
    JSON.stringify({ ...result, duration_ms: '1' }),
  ])('is no result: %s', text => {
    expect(readResult(text)).toBeUndefined();
  });

  it.each(['', 'null', '{"code":200,"message":"","stage":""}', '{"code":422,"message":1,"stage":"git"}'])(
    'is no error: %s',
    text => {
      expect(readError(text)).toBeUndefined();
    },
  );

  it('is read without a fault whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), text => {
        const outcome = readResult(text) ?? readError(text);
        if (outcome !== undefined) toResponse(outcome);
      }),
    );
  });

  it('comes back as it was written', () => {
    const { err } = failed(500, 'x', 'git') as { err: object };
    expect(readError(JSON.stringify(err))).toEqual(failed(500, 'x', 'git'));
  });
});
