import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import {
  createForwardingMemory,
  createSharedForwarding,
  durationLimits,
} from './forward/shared-forwarding.ts';
import { SharedHistogram } from './shared-histogram.ts';

it('what threads have counted together is a histogram of Prometheus', async () => {
  const memory = createForwardingMemory(2);
  const [one, other] = [createSharedForwarding(memory), createSharedForwarding(memory)];
  one.took(0.5);
  other.took(30);
  other.took(4400);
  other.took(9000);
  const registry = new Registry();
  const description = { name: 'd_seconds', help: 'how long', limits: durationLimits };
  registry.registerMetric(new SharedHistogram(description, one.durations));
  const text = await registry.metrics();
  expect(text).toContain('# TYPE d_seconds histogram');
  for (const line of [
    'd_seconds_bucket{le="0.001"} 1',
    'd_seconds_bucket{le="0.025"} 1',
    'd_seconds_bucket{le="0.05"} 2',
    'd_seconds_bucket{le="3"} 2',
    'd_seconds_bucket{le="4.5"} 3',
    'd_seconds_bucket{le="+Inf"} 4',
    'd_seconds_sum 13.4305',
    'd_seconds_count 4',
  ])
    expect(text.split('\n')).toContain(line);
  expect([one.stats().waiting, one.waiting(1)], 'its cells are its own').toEqual([0, 0]);
});
