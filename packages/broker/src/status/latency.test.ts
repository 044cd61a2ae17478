import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { latencyLimits, quantile, readBuckets } from './latency.ts';

const limits = [10, 100, 1000];
const bucketsOf = (values: number[]) =>
  [...limits, Number.POSITIVE_INFINITY].map(ms => ({ ms, count: values.filter(v => v <= ms).length }));

describe('a quantile', () => {
  it('of nothing is none', () => {
    expect(quantile([], 0.5)).toBeUndefined();
    expect(quantile(bucketsOf([]), 0.5)).toBeUndefined();
  });

  it('is linear within its bucket, and the last limit beyond it', () => {
    expect(quantile(bucketsOf([5, 5]), 0.5)).toBe(5);
    expect(quantile(bucketsOf([50, 50, 50, 50]), 0.99)).toBeCloseTo(10 + 90 * 0.99);
    expect(quantile(bucketsOf([5000]), 0.5)).toBe(1000);
  });

  it('lies in the bucket of its value, whatever the values', () => {
    const values = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1 });
    fc.assert(
      fc.property(values, fc.constantFrom(0.5, 0.9, 0.99), (list, q) => {
        const true_ = [...list].sort((a, b) => a - b)[Math.ceil(q * list.length) - 1] ?? 0;
        const limit = limits.find(ms => true_ <= ms) ?? 0;
        const found = quantile(bucketsOf(list), q) ?? -1;
        expect(found).toBeLessThanOrEqual(limit);
        expect(found).toBeGreaterThanOrEqual(limits[limits.indexOf(limit) - 1] ?? 0);
      }),
    );
  });
});

it.each([1, 10, 30, 3600])(
  'a timeout of %i s is read as one, and not as what is far beyond it',
  async seconds => {
    const histogram = new Histogram({
      name: 'd',
      help: 'd',
      labelNames: ['verb', 'outcome'],
      buckets: latencyLimits(seconds),
      registers: [new Registry()],
    });
    for (let n = 0; n < 90; n += 1) histogram.observe({ verb: 'a', outcome: 'ok' }, 0.02);
    for (let n = 0; n < 10; n += 1) histogram.observe({ verb: 'a', outcome: 'timeout' }, seconds + 0.02);
    const p99 = quantile(readBuckets((await histogram.get()).values).latency, 0.99) ?? expect.fail();
    expect(p99).toBeGreaterThan(seconds * 1000 * 0.99);
    expect(p99).toBeLessThanOrEqual(seconds * 1000 * 1.25);
  },
);

it.each([1, 5, 10, 10.1, 16, 3600])('the limits of a timeout of %d s ascend', seconds => {
  const limits = latencyLimits(seconds);
  expect(limits).toEqual([...new Set(limits)].sort((a, b) => a - b));
});

it('counts all outcomes, and times those of hosts alone, over all verbs', async () => {
  const histogram = new Histogram({
    name: 'd',
    help: 'd',
    labelNames: ['verb', 'outcome'],
    buckets: [0.01, 0.1],
    registers: [new Registry()],
  });
  histogram.observe({ verb: 'a', outcome: 'ok' }, 0.005);
  histogram.observe({ verb: 'b', outcome: 'ok' }, 0.05);
  histogram.observe({ verb: 'b', outcome: 'full' }, 0);
  expect(readBuckets((await histogram.get()).values)).toEqual({
    byOutcome: { ok: 2, full: 1 },
    latency: [
      { ms: 10, count: 1 },
      { ms: 100, count: 2 },
      { ms: Number.POSITIVE_INFINITY, count: 2 },
    ],
  });
});
