import { expect, it } from 'vitest';
import { judgeStatus } from './judge-status.ts';
import type { BrokerStatus } from './status.ts';

const now = new Date('2030-01-01T00:00:00Z');
const healthy: BrokerStatus = {
  ...{ version: '1.0.0', node: 'v26', uptime_s: 10, tls: { not_after: '2031-01-01T00:00:00Z' }, hosts: 3 },
  connections: { open: 3, idle: 0 },
  pending: { max: 100, waiting: 2, landed: 0, overdue: 0 },
  evictions: { landed: 0, overdue: 0, builds: 0 },
  ...{ streamed_commands: 0, builds: { waiting: 0, landed: 0, remembered: 0 } },
  dispatches: { by_outcome: { ok: 5, timeout: 1 }, p50_ms: 1, p99_ms: 2 },
  ...{ connects: 3, replacements: 0, disconnects: {}, auth_failures: { expired: 4 }, refused_hellos: 0 },
  ignored_frames: {},
  peers: null,
};
const peers = {
  not_after: '2031-01-01T00:00:00Z',
  ...{ routes: { here: 1, elsewhere: 2 }, followed: true, unwritten: 0, links: 0, taken: {} },
  forwarded: { by_outcome: {}, p50_ms: null, p99_ms: null },
};

it('a broker with hosts, room and a certificate is healthy; so is one without TLS', () => {
  expect(judgeStatus(healthy, now)).toEqual([]);
  expect(judgeStatus({ ...healthy, tls: null }, now)).toEqual([]);
  expect(judgeStatus({ ...healthy, peers }, now)).toEqual([]);
});

it.each<[Partial<BrokerStatus>, RegExp]>([
  [{ hosts: 0 }, /^no host is connected$/],
  [{ pending: { ...healthy.pending, waiting: 80 } }, /^80 of at most 100 /],
  [{ streamed_commands: 70, builds: { waiting: 8, landed: 0, remembered: 900 } }, /^80 of at most 100 /],
  [{ pending: { ...healthy.pending, overdue: 2 } }, /^2 dispatches .* without an answer$/],
  [{ peers: { ...peers, followed: false } }, /^Corrosion does not tell where/],
  [{ peers: { ...peers, not_after: '2030-01-03T00:00:00Z' } }, /other brokers are shown ends in 2 days/],
  [{ tls: { not_after: '2029-12-31T00:00:00Z' } }, /certificate ended at 2029-12-31/],
  [{ tls: { not_after: '2030-01-04T12:00:00Z' } }, /certificate ends in 3 days/],
])('%j is a problem, and named', (change, named) => {
  expect(judgeStatus({ ...healthy, ...change }, now)).toEqual([expect.stringMatching(named)]);
});
