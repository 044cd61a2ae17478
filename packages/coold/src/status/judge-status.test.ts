import { expect, it } from 'vitest';
import { findLate, findUnfinished, judgeStatus } from './judge-status.ts';
import type { CooldStatus } from './status.ts';

const listener = { namespace: 'default', address: '10.210.0.1', bound: true };
const firewall = {
  ...({ mode: 'enforcing', rules: 2, drift: 0, hook_repairs: 7, problem: null } as const),
  differences: [],
  lost_flows: null,
  deny_repairs: 1,
  deny_problem: null,
};
const unserved = { what: 'rest', address: '100.64.0.2:8443', problem: 'listen EADDRINUSE' } as const;
const healthy: CooldStatus = {
  version: '1.0.0',
  node: 'v26',
  uptime_s: 60,
  link: {
    connected: true,
    state: 'broker b:6443: connected',
    since: '2030-01-01T00:00:00Z',
    credentials_problem: null,
  },
  clock: { ahead_s: 60 },
  restarted: null,
  mesh: { address: '100.64.0.2', address_up: true },
  ending: [],
  podman: { version: '5.0.0' },
  disks: [{ uses: ['settings'], path: '/etc', total: 100, free: 50, files: 0, files_free: 0 }],
  directory: {
    rows: 3,
    registrations: 0,
    age_ms: 0,
    connected: true,
    problem: null,
    unreachable: 0,
    hosts_gone: [],
    hosts_silent: [],
    database_put_back: false,
    network_pool: '10.211.0.0/20',
    pools_overlapping: [],
  },
  sync: { rows: 1, podman_failures: 4, corrosion_failures: 2 },
  dns: {
    queries: 9,
    forwarded: 1,
    forward_errors: 1,
    cached: 2,
    stale: 1,
    upstreams: [
      { address: '192.0.2.1:53', answering: false },
      { address: '192.0.2.2:53', answering: true },
    ],
    listeners: [listener],
    host_route: null,
  },
  firewall,
  builds: null,
  recent: [{ at: '2030-01-01T00:00:00Z', level: 'warn', message: 'is over' }],
};

it('a coold that was not yet restarted after an update says nothing of what is new', () => {
  const { clock, restarted, mesh, ...before } = healthy;
  expect([clock, restarted, mesh]).not.toContain(undefined);
  const { hosts_silent: silent, ...directory } = before.directory;
  expect(silent).toEqual([]);
  expect(judgeStatus({ ...before, directory })).toEqual([]);
});

it('a coold that serves is healthy, whatever has been; so is one that has no broker', () => {
  expect(judgeStatus(healthy)).toEqual([]);
  expect(judgeStatus({ ...healthy, link: null })).toEqual([]);
});

it.each<[Partial<CooldStatus>, string]>([
  [
    {
      link: {
        connected: false,
        state: 'broker b:6443: not connected (refused)',
        since: '',
        credentials_problem: null,
      },
    },
    'no stream to the broker: broker b:6443: not connected (refused)',
  ],
  [
    {
      link: {
        connected: false,
        state: 'broker b:6443: not dialled, /jwt is empty',
        since: '',
        credentials_problem: '/jwt is empty',
      },
    },
    'no stream to the broker: broker b:6443: not dialled, /jwt is empty',
  ],
  [
    {
      link: {
        connected: true,
        state: 'broker b:6443: connected',
        since: '',
        credentials_problem: '/jwt is empty',
      },
    },
    'the next dial uses the token and the CA that were read before: /jwt is empty; correct the file, it is read again without a restart',
  ],
  [
    { clock: { ahead_s: 3600 } },
    "this host's clock is 3600 s ahead of the broker's, so tokens and certificates are judged wrongly: compare timedatectl on both, and set the one that is wrong",
  ],
  [
    { clock: { ahead_s: -61 } },
    "this host's clock is 61 s behind the broker's, so tokens and certificates are judged wrongly: compare timedatectl on both, and set the one that is wrong",
  ],
  [
    { restarted: { count: 2, result: 'oom-kill', at: '2030-01-01T00:00:00Z' } },
    'coold was killed because the memory had run out (oom-kill) at 2030-01-01T00:00:00Z, 2 times within an hour, and systemd started it again: see journalctl -u coold; this is said for an hour, or until systemctl restart coold',
  ],
  [
    { mesh: { address: '100.64.0.2', address_up: false } },
    'no interface of this host has COOLD_HOST_MGMT_IP 100.64.0.2: wg0 is down, so other hosts cannot be reached; systemctl start wg-quick@wg0',
  ],
  [
    {
      directory: {
        ...healthy.directory,
        hosts_silent: [{ host_mgmt_ip: '100.64.0.7', last_handshake_s: 200, rows: 3 }],
      },
    },
    'host 100.64.0.7 does not answer by WireGuard, last handshake 200 s ago; the names of its 3 containers are still answered. Check that it runs, and that its UDP port can be reached',
  ],
  [
    { ending: [{ credential: 'token', ends_at: '2030-01-05T00:00:00Z' }] },
    "the host's token ends at 2030-01-05T00:00:00Z: put a new one into COOLD_HOST_JWT_PATH",
  ],
  [
    { ending: [{ credential: 'broker_ca', ends_at: '2030-01-05T00:00:00Z' }] },
    "the CA of the broker's certificate ends at 2030-01-05T00:00:00Z: put the next CA into COOLD_BROKER_CA beside it",
  ],
  [
    { disks: [{ uses: ['settings'], path: '/etc', total: 2 ** 30, free: 0, files: 0, files_free: 0 }] },
    'the disk of settings (/etc) is full: 0 MiB of 1024 MiB are free; make room, for example with images.delete or podman system prune',
  ],
  [{ podman: { problem: 'no socket' } }, 'Podman does not answer: no socket'],
  [
    { directory: { ...healthy.directory, connected: false } },
    'Corrosion does not report changes of the mesh; names may be out of date',
  ],
  [
    { directory: { ...healthy.directory, connected: false, problem: 'corrosion answered 401: …' } },
    'Corrosion does not report changes of the mesh; names may be out of date: corrosion answered 401: …',
  ],
  [
    { directory: { ...healthy.directory, hosts_gone: ['100.64.0.7'] } },
    'not seen for too long: 100.64.0.7; their names are not answered. Bring them back, or remove their rows with mesh.forget',
  ],
  [
    {
      directory: {
        ...healthy.directory,
        pools_overlapping: [{ host_mgmt_ip: '100.64.0.7', network_pool: '10.211.0.0/16' }],
      },
    },
    'COOLD_NETWORK_POOL 10.211.0.0/20 overlaps with 10.211.0.0/16 of host 100.64.0.7: give each host a slice of its own; no network is made where they overlap',
  ],
  [
    { directory: { ...healthy.directory, database_put_back: true } },
    "this host's Corrosion database was restored to an older state, so other hosts ignore its changes: names of this host's containers are out of date there. Stop Corrosion, empty /var/lib/corrosion, start Corrosion",
  ],
  [
    { dns: { ...healthy.dns, listeners: [listener, { ...listener, namespace: 'b', bound: false }] } },
    'DNS of namespace b is not served on 10.210.0.1: not bound yet',
  ],
  [
    {
      dns: {
        ...healthy.dns,
        listeners: [{ namespace: '(this host)', address: '127.0.64.53', bound: false }],
      },
    },
    'DNS of this host itself is not served on 127.0.64.53: not bound yet',
  ],
  [
    { dns: { ...healthy.dns, host_route: { in_place: false, problem: 'there is no wg0' } } },
    'this host itself does not resolve the zone: there is no wg0',
  ],
  [
    { dns: { ...healthy.dns, upstreams: [{ address: '192.0.2.1:53', answering: false }] } },
    'no upstream answers: 192.0.2.1:53; names outside the zone are not resolved, see COOLD_DNS_UPSTREAM',
  ],
  [
    { dns: { ...healthy.dns, upstreams: [] } },
    'no upstream is known: the resolv.conf of this host names none; see COOLD_DNS_UPSTREAM',
  ],
  [{ firewall: { ...firewall, mode: 'unknown' } }, 'the packet filter cannot be read'],
  [
    { firewall: { ...firewall, mode: 'unknown', deny_problem: 'the deny is being checked' } },
    'the deny is being checked',
  ],
  [
    { firewall: { ...firewall, mode: 'broken', deny_problem: 'missing: the way' } },
    'the default deny is not in place, so containers may reach each other: missing: the way; coold keeps trying to restore it',
  ],
  [{ firewall: { ...firewall, problem: 'allow.pending stays' } }, 'firewall: allow.pending stays'],
  [
    { firewall: { ...firewall, guard_problem: 'nft: exit 1' } },
    "coold's own ports and new bridges cannot be written into the guard, so containers may reach what they must not: nft: exit 1; coold keeps trying",
  ],
  [{ firewall: { ...firewall, lost_flows: 'of 2 …' } }, 'allowed flows do not pass: of 2 …'],
  [{ firewall: { ...firewall, differences: ['two chains'] } }, 'firewall: two chains'],
  [
    { firewall: { ...firewall, drift: 2 } },
    'firewall: 2 rules differ between kernel, snapshots and what was asked for; see firewall.status',
  ],
])('%j is a problem, and named', (change, named) => {
  expect(judgeStatus({ ...healthy, ...change })).toEqual([named]);
});

const dialling = {
  connected: false,
  state: 'broker b:6443: connecting',
  since: '',
  credentials_problem: null,
};

it.each<[Partial<CooldStatus>, string]>([
  [{ link: dialling }, 'the stream to the broker: broker b:6443: connecting'],
  [{ link: { ...dialling, state: 'not dialled yet' } }, 'the stream to the broker: not dialled yet'],
  [{ directory: { ...healthy.directory, connected: false } }, 'what Corrosion knows of the mesh'],
  [
    { dns: { ...healthy.dns, listeners: [{ ...listener, bound: false }] } },
    'DNS of namespace default on 10.210.0.1',
  ],
  [{ firewall: { ...firewall, mode: 'unknown' } }, 'the check of the packet filter'],
  [{ podman: { problem: 'podman did not answer in time', late: true } }, 'the answer of Podman'],
  [{ unserved: [unserved] }, 'the REST API on 100.64.0.2:8443'],
])('%j is not there yet right after the start, and a problem a minute later', (change, named) => {
  const young = { ...healthy, ...change, uptime_s: 59 };
  expect([judgeStatus(young), findUnfinished(young)]).toEqual([[], [named]]);
  const old = { ...young, uptime_s: 60 };
  expect([judgeStatus(old).length, findUnfinished(old)]).toEqual([1, []]);
});

it.each<Partial<CooldStatus>>([
  { link: { ...dialling, state: 'broker b:6443: not connected (refused)' } },
  { directory: { ...healthy.directory, connected: false, problem: 'no answer' } },
  { dns: { ...healthy.dns, listeners: [{ ...listener, bound: false, problem: 'port 53 is taken' }] } },
  { firewall: { ...firewall, mode: 'broken', deny_problem: 'missing' } },
  { podman: { problem: 'no socket', late: false } },
])('what has failed is a problem from the first moment: %j', change => {
  const young = { ...healthy, ...change, uptime_s: 1 };
  expect([judgeStatus(young).length, findUnfinished(young)]).toEqual([1, []]);
});

it('an address that cannot be listened at is a problem, in the words of the system', () => {
  const metrics = { ...unserved, what: 'metrics', address: '127.0.0.1:9464' } as const;
  expect(judgeStatus({ ...healthy, unserved: [unserved, metrics] })).toEqual([
    'the REST API is not served on 100.64.0.2:8443, which is tried again: listen EADDRINUSE',
    'metrics are not served on 127.0.0.1:9464, which is tried again: listen EADDRINUSE',
  ]);
});

it('files that cannot be read again are a problem: the next start would fail', () => {
  const unread = [{ what: 'API token', problem: 'ENOENT' }];
  expect(judgeStatus({ ...healthy, unread })).toEqual([
    'API token: the ones read before are still used, and the next start would fail: ENOENT; correct the file, it is read again without a restart',
  ]);
});

it('a host that is behind with looking at the default deny is late for a minute, then it is a problem', () => {
  const behind = (unknown_s: number) => ({
    ...healthy,
    firewall: {
      ...firewall,
      ...({ mode: 'unknown', deny_problem: 'the default deny is still being checked', unknown_s } as const),
    },
  });
  expect([judgeStatus(behind(59)), findLate(behind(59))]).toEqual([
    [],
    ['the default deny is still being checked, for 59 s now'],
  ]);
  expect([judgeStatus(behind(60)), findLate(behind(60))]).toEqual([
    ['the default deny is still being checked'],
    [],
  ]);
  const broken = { ...healthy, firewall: { ...firewall, mode: 'broken', deny_problem: 'gone' } as const };
  expect([judgeStatus(broken).length, findLate(broken)]).toEqual([1, []]);
  const young = { ...behind(5), uptime_s: 5 };
  expect([judgeStatus(young), findLate(young)], 'right after the start').toEqual([[], []]);
});
