import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { expect, it, vi } from 'vitest';
import { createMetrics } from '../transport/metrics.ts';
import { recordCalls } from './calls.ts';

const log = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);

it('a call is a line of the log and counts in the metrics', async () => {
  const metrics = createMetrics('1.2.3');
  const info = vi.fn();
  const record = recordCalls({ ...log, info }, metrics);
  const call = { requestId: 'r-1', verb: 'x.get', transport: 'rest', status: 404, durationMs: 2.6 } as const;
  record(call);
  record({ ...call, transport: 'stream', status: 200 });
  record(call);
  expect(info.mock.calls[0]).toEqual([
    { request_id: 'r-1', verb: 'x.get', transport: 'rest', status: 404, duration_ms: 3 },
    'verb',
  ]);
  const { text } = await metrics.render();
  expect(text).toContain('coold_verb_requests_total{verb="x.get",transport="rest",code="404"} 2');
  expect(text).toContain('coold_verb_requests_total{verb="x.get",transport="stream",code="200"} 1');
  expect(text).toContain('coold_verb_duration_seconds_bucket{le="0.005",verb="x.get",transport="rest"} 2');
});

it('metrics of one registry are not in another', async () => {
  recordCalls(
    log,
    createMetrics('1'),
  )({ requestId: 'r', verb: 'v', transport: 'rest', status: 200, durationMs: 1 });
  expect((await createMetrics('2').render()).text).not.toContain('verb="v"');
});
