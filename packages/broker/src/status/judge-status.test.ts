import { expect, it } from 'vitest';
import { findUnfinished, judgeFleet, judgeStatus } from './judge-status.ts';
import type { BrokerStatus } from './status.ts';

const now = new Date('2030-01-01T00:00:00Z');
const healthy: BrokerStatus = {
  version: '1.0.0',
  node: 'v26',
  uptime_s: 60,
  tls: { not_after: '2031-01-01T00:00:00Z' },
  hosts: 3,
  hosts_away: { count: 1, first: [{ host_id: 'restarts', since: '2029-12-31T23:00:00Z' }] },
  ending_tokens: { count: 0, first: [] },
  connections: { open: 3, idle: 0 },
  pending: { max: 100, waiting: 2, landed: 0, overdue: 0 },
  evictions: { landed: 0, overdue: 0, builds: 0 },
  streamed_commands: 0,
  builds: { waiting: 0, landed: 0, remembered: 0 },
  dispatches: { by_outcome: { ok: 5, timeout: 1 }, p50_ms: 1, p99_ms: 2 },
  connects: 3,
  replacements: 0,
  disconnects: {},
  auth_failures: { expired: 4 },
  refused_hellos: 0,
  ignored_frames: {},
  peers: null,
};
const peers = {
  not_after: '2031-01-01T00:00:00Z',
  ca_not_after: '2031-01-01T00:00:00Z',
  routes: { here: 1, elsewhere: 2, lapsed: 0 },
  followed: true,
  unwritten: 0,
  links: 0,
  taken: {},
  brokers: {
    alive: 1,
    dead: 0,
    without_heartbeat: 0,
    first: [{ broker_id: 'b2', address: 'b2:6444', state: 'alive' as const, still_s: 9, routes: 2 }],
  },
  heartbeat_age_s: 9,
  heartbeat_ttl_s: 40,
  builds: {},
  forwarded: { by_outcome: {}, p50_ms: null, p99_ms: null },
};

const unserved = { what: 'metrics', address: '127.0.0.1:9465', problem: 'listen EADDRINUSE' } as const;

it('a broker with hosts, room and a certificate is healthy; so is one without TLS', () => {
  expect(judgeStatus(healthy, now)).toEqual([]);
  expect(judgeStatus({ ...healthy, tls: null }, now)).toEqual([]);
  expect(judgeStatus({ ...healthy, peers }, now)).toEqual([]);
});

it.each([
  [
    ['192.0.2.1', '192.0.2.2'],
    /^streams of host a .* 4 times .*, from 192\.0\.2\.1 and 192\.0\.2\.2: two machines seem to use its token/,
  ],
  [
    ['192.0.2.1'],
    /from 192\.0\.2\.1: a second machine behind that address may use its token, or its connection breaks/,
  ],
])('a host whose streams replace each other is a problem: %j', (addresses, named) => {
  const contested_hosts = [{ host_id: 'a', replacements: 4, addresses }];
  expect(judgeStatus({ ...healthy, contested_hosts }, now)).toEqual([expect.stringMatching(named)]);
});

it('so is one whose certificates live for a week, as programs renew them, until the last quarter', () => {
  const week = { not_before: '2029-12-30T00:00:00Z', not_after: '2030-01-06T00:00:00Z' };
  const ofPeers = { ...peers, ...week, ca_not_before: week.not_before, ca_not_after: week.not_after };
  expect(judgeStatus({ ...healthy, tls: week, peers: ofPeers }, now)).toEqual([]);
});

it('so is a broker whose peers have all the hosts', () => {
  expect(judgeStatus({ ...healthy, hosts: 0, hosts_away: { count: 0, first: [] }, peers }, now)).toEqual([]);
});

it.each<[Partial<BrokerStatus>, RegExp]>([
  [
    { hosts: 6, hosts_away: { count: 2, first: [{ host_id: 'h-1', since: '2029-12-31T23:00:00Z' }] } },
    /^2 of 8 hosts that were connected within a day are away: h-1 …$/,
  ],
  [
    { hosts: 1, hosts_away: { count: 1, first: [{ host_id: 'h-1', since: '2029-12-31T23:00:00Z' }] } },
    /^1 of 2 hosts that were connected within a day are away: h-1$/,
  ],
  [{ hosts: 0 }, /^no host is connected$/],
  [{ hosts: 0, peers: { ...peers, routes: { here: 0, elsewhere: 0, lapsed: 0 } } }, /^no host is connected$/],
  [{ pending: { ...healthy.pending, waiting: 80 } }, /^80 of at most 100 /],
  [{ streamed_commands: 70, builds: { waiting: 8, landed: 0, remembered: 900 } }, /^80 of at most 100 /],
  [{ pending: { ...healthy.pending, overdue: 2 } }, /^2 dispatches .* without an answer$/],
  [{ peers: { ...peers, followed: false } }, /^Corrosion does not report where/],
  [{ unserved: [unserved] }, /^metrics are not served on 127.0.0.1:9465, .*: listen EADDRINUSE$/],
  [
    { unread: [{ what: 'deny list', problem: 'ENOENT' }] },
    /^deny list: the ones read before are still used, and the next start would fail: ENOENT; correct the file/,
  ],
  [
    {
      peers: {
        ...peers,
        brokers: {
          alive: 1,
          dead: 1,
          without_heartbeat: 0,
          first: [{ broker_id: 'b3', address: 'b3:6444', state: 'dead', still_s: 75, routes: 7 }],
        },
      },
    },
    /^broker b3 at b3:6444 is dead: its heartbeat has not changed for 1m 15s; 7 routes to it are ignored$/,
  ],
  [{ peers: { ...peers, heartbeat_age_s: 40 } }, /^the heartbeat of this broker was last written 40s ago/],
  [
    { peers: { ...peers, heartbeat_age_s: null } },
    /^Corrosion has no table broker_heartbeats, .*systemctl reload/,
  ],
  [{ peers: { ...peers, not_after: '2030-01-03T00:00:00Z' } }, /other brokers are shown ends in 2 days/],
  [
    { peers: { ...peers, ca_not_after: '2030-01-03T00:00:00Z' } },
    /^the CA of the other brokers ends in 2 days/,
  ],
  [
    { ending_tokens: { count: 2, first: [{ host_id: 'h-1', ends_at: '2030-01-02T00:00:00Z' }] } },
    /^tokens of 2 hosts end soon: h-1 at 2030-01-02T00:00:00Z …; give these hosts new ones$/,
  ],
  [{ tls: { not_after: '2029-12-31T00:00:00Z' } }, /certificate ended at 2029-12-31/],
  [{ tls: { not_after: '2030-01-04T12:00:00Z' } }, /certificate ends in 3 days/],
  [
    { tls: { not_before: '2029-12-26T00:00:00Z', not_after: '2030-01-02T12:00:00Z' } },
    /certificate ends in 36 hours/,
  ],
])('%j is a problem, and named', (change, named) => {
  expect(judgeStatus({ ...healthy, ...change }, now)).toEqual([expect.stringMatching(named)]);
});

it('a broker without peers misses no heartbeats', () => {
  const alone = { alive: 0, dead: 0, without_heartbeat: 0, first: [] };
  expect(
    judgeStatus({ ...healthy, peers: { ...peers, brokers: alone, heartbeat_age_s: null } }, now),
  ).toEqual([]);
});

it.each<[Partial<BrokerStatus>, string]>([
  [{ hosts: 0, hosts_away: { count: 0, first: [] } }, 'hosts: none has connected yet'],
  [{ peers: { ...peers, followed: false } }, 'what Corrosion knows of the hosts of other brokers'],
  [{ unserved: [unserved] }, 'metrics on 127.0.0.1:9465'],
])('%j is not there yet right after the start, and a problem a minute later', (change, named) => {
  const young = { ...healthy, ...change, uptime_s: 59 };
  expect([judgeStatus(young, now), findUnfinished(young)]).toEqual([[], [named]]);
  const old = { ...young, uptime_s: 60 };
  expect([judgeStatus(old, now).length, findUnfinished(old)]).toEqual([1, []]);
});

it.each<Partial<BrokerStatus>>([
  { pending: { ...healthy.pending, waiting: 80 } },
  { tls: { not_after: '2029-12-31T00:00:00Z' } },
  { hosts: 1, hosts_away: { count: 1, first: [{ host_id: 'h-1', since: '2029-12-31T23:00:00Z' }] } },
  { peers: { ...peers, heartbeat_age_s: 40 } },
])('what is wrong is a problem from the first moment: %j', change => {
  const young = { ...healthy, ...change, uptime_s: 1 };
  expect([judgeStatus(young, now).length, findUnfinished(young)]).toEqual([1, []]);
});

it('a broker that does not answer is a problem; a dead one is already reported', () => {
  const broker = { address: 'b:6444', hosts: 3 };
  const brokers = [
    { ...broker, broker_id: 'b1', state: 'here', error: null },
    { ...broker, broker_id: 'b2', state: 'silent', error: 'did not answer within 3000 ms' },
    { ...broker, broker_id: 'b3', state: 'dead', error: 'its heartbeat has not changed for 50 s' },
    { ...broker, broker_id: 'b4', state: 'old', error: 'answered with gRPC status 12' },
  ] as const;
  expect(judgeFleet({ brokers: [...brokers] }, { uptime_s: 60 })).toEqual({
    problems: ['broker b2 at b:6444 does not answer: it did not answer within 3000 ms'],
    unfinished: [],
  });
  expect(judgeFleet({ brokers: [...brokers] }, { uptime_s: 59 }), 'right after the start').toEqual({
    problems: [],
    unfinished: ['an answer of broker b2 at b:6444: it did not answer within 3000 ms'],
  });
});
