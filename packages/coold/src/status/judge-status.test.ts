import { expect, it } from 'vitest';
import { judgeStatus } from './judge-status.ts';
import type { CooldStatus } from './status.ts';

const listener = { namespace: 'default', address: '10.210.0.1', bound: true };
const firewall = {
  ...({ mode: 'enforcing', rules: 2, drift: 0, hook_repairs: 7, problem: null } as const),
  ...{ differences: [], lost_flows: null, deny_repairs: 1, deny_problem: null },
};
const healthy: CooldStatus = {
  ...{ version: '1.0.0', node: 'v26', uptime_s: 1 },
  link: { connected: true, state: 'broker b:6443: connected', since: '2030-01-01T00:00:00Z' },
  podman: { version: '5.0.0' },
  directory: { rows: 3, registrations: 0, age_ms: 0, connected: true, unreachable: 0, hosts_gone: [] },
  sync: { rows: 1, podman_failures: 4, corrosion_failures: 2 },
  dns: {
    ...{ queries: 9, forwarded: 1, forward_errors: 1, cached: 2, stale: 1 },
    upstreams: [
      { address: '192.0.2.1:53', answering: false },
      { address: '192.0.2.2:53', answering: true },
    ],
    listeners: [listener],
  },
  firewall,
  builds: null,
  recent: [{ at: '2030-01-01T00:00:00Z', level: 'warn', message: 'is over' }],
};

it('a coold that serves is healthy, whatever has been; so is one that has no broker', () => {
  expect(judgeStatus(healthy)).toEqual([]);
  expect(judgeStatus({ ...healthy, link: null })).toEqual([]);
});

it.each<[Partial<CooldStatus>, string]>([
  [
    { link: { connected: false, state: 'broker b:6443: not connected (refused)', since: '' } },
    'no stream to the broker: broker b:6443: not connected (refused)',
  ],
  [{ podman: { problem: 'no socket' } }, 'Podman does not answer: no socket'],
  [
    { directory: { ...healthy.directory, connected: false } },
    'Corrosion does not tell changes of the mesh; names may be out of date',
  ],
  [
    { directory: { ...healthy.directory, hosts_gone: ['100.64.0.7'] } },
    'not seen for too long: 100.64.0.7; their names are not answered. Bring them back, or remove their rows with mesh.forget',
  ],
  [
    { dns: { ...healthy.dns, listeners: [listener, { ...listener, namespace: 'b', bound: false }] } },
    'DNS of namespace b is not served on 10.210.0.1: not bound yet',
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
    { firewall: { ...firewall, mode: 'broken', deny_problem: 'missing: the way' } },
    'the default deny is not in place, so containers may reach each other: missing: the way; coold goes on trying to put it back',
  ],
  [{ firewall: { ...firewall, problem: 'allow.pending stays' } }, 'firewall: allow.pending stays'],
  [{ firewall: { ...firewall, lost_flows: 'of 2 …' } }, 'allowed flows do not pass: of 2 …'],
  [{ firewall: { ...firewall, differences: ['two chains'] } }, 'firewall: two chains'],
  [
    { firewall: { ...firewall, drift: 2 } },
    'firewall: 2 rules differ between kernel, snapshots and what was asked for; see firewall.status',
  ],
])('%j is a problem, and named', (change, named) => {
  expect(judgeStatus({ ...healthy, ...change })).toEqual([named]);
});
