import { formatAge, type ScreenRow, screen } from '@coold/runtime';
import type { Fleet, FleetBroker, HostListing } from '../builds/host-listing.ts';
import type { BrokerStatus, PeersStatus } from './status.ts';

/** The most hosts, and brokers, that are named on the screen; the others are counted. */
const maxHosts = 8;
const maxBrokers = 20;

export interface Seen {
  status: BrokerStatus;
  hosts: readonly HostListing[];
  /** Undefined: this broker is alone, or too old to know. */
  fleet: Pick<Fleet, 'brokers'> | undefined;
  /** Dispatches per second at the moment. */
  rate: number;
  problems: readonly string[];
  /** What it has not done yet. */
  unfinished: readonly string[];
}

/** Renders one screen for a person. Pure. */
export function renderStatus({ status, hosts, fleet, rate, problems, unfinished }: Seen, now: Date): string {
  const { version, uptime_s, tls, pending, builds, dispatches, connections, evictions } = status;
  const rows: ScreenRow[] = [
    ['broker', `${version}, up ${formatAge(uptime_s)}, Node ${status.node}`],
    ['TLS', tls === null ? 'none: plain HTTP/2' : `certificate good until ${tls.not_after}`],
    ['hosts', `${status.hosts} connected; ${connections.idle} connections without a host`],
    // A broker that was not restarted after an update does not report it.
    ['  away', `${status.hosts_away?.count ?? 0} that left within a day`],
    [
      '  versions',
      tallied(hosts.map(host => `${host.coold_version || 'unknown'} (schema ${host.schema_max})`)),
    ],
    [
      'streams',
      `${status.connects} taken in, ${status.replacements} of them replaced one; ended: ${counted(status.disconnects)}`,
    ],
    ['refused', `tokens: ${counted(status.auth_failures)}; Hellos: ${status.refused_hellos}`],
    [
      'dispatches',
      `${rate.toFixed(1)}/s now; p50 ${ms(dispatches.p50_ms)}, p99 ${ms(dispatches.p99_ms)} since the start`,
    ],
    ['  outcomes', counted(dispatches.by_outcome)],
    [
      'pending',
      `${pending.waiting} waiting, ${pending.landed} landed, ${pending.overdue} overdue, of ${pending.max}; ${status.streamed_commands} streamed`,
    ],
    ['builds', `${builds.waiting} waiting, ${builds.landed} landed, ${builds.remembered} remembered`],
    [
      'evicted',
      `${evictions.landed} landed, ${evictions.overdue} overdue, ${evictions.builds} builds; frames ignored: ${counted(status.ignored_frames)}`,
    ],
  ];
  // A broker that was not restarted after an update does not report it.
  if (status.peers != null) rows.push(...peerRows(status.peers));
  return screen({
    rows,
    lists: [brokerList(fleet?.brokers ?? []), hostList(hosts, now)],
    problems,
    unfinished,
  });
}

function peerRows(peers: PeersStatus): ScreenRow[] {
  const { routes, followed, unwritten, links, forwarded, taken } = peers;
  const state = followed ? 'followed' : 'NOT followed: Corrosion does not report changes';
  // A broker that was not restarted after an update does not report them.
  const { lapsed = 0 }: Partial<PeersStatus['routes']> = routes;
  const { brokers, builds = {} }: Partial<PeersStatus> = peers;
  return [
    ['brokers', brokersLine(brokers, peers.heartbeat_age_s ?? null)],
    [
      'routes',
      `${routes.elsewhere} hosts elsewhere, ${routes.here} here; ${lapsed} of dead brokers; ${unwritten} unwritten; ${state}`,
    ],
    [
      'forwarded',
      `to ${links} brokers, p50 ${ms(forwarded.p50_ms)}, p99 ${ms(forwarded.p99_ms)}: ${counted(forwarded.by_outcome)}`,
    ],
    ['  builds', counted(builds)],
    ['  taken', counted(taken)],
  ];
}

function brokersLine(brokers: PeersStatus['brokers'] | undefined, age: number | null): string {
  if (brokers === undefined) return 'unknown';
  const old = brokers.without_heartbeat === 0 ? '' : `, ${brokers.without_heartbeat} without a heartbeat`;
  const own = age === null ? 'no table for heartbeats' : `own heartbeat written ${formatAge(age)} ago`;
  return `${brokers.alive} others alive, ${brokers.dead} dead${old}; ${own}`;
}

function brokerList(brokers: readonly FleetBroker[]): { title: string; lines: string[] } {
  const lines = brokers.slice(0, maxBrokers).map(({ broker_id, address, state, hosts, error }) => {
    const where = state === 'here' ? 'this broker' : (address ?? '');
    const why = error === null ? '' : `, ${state}: ${error}`;
    return `${broker_id}  ${where}, ${hosts} hosts${why}`;
  });
  if (brokers.length > maxBrokers)
    lines.push(`and ${brokers.length - maxBrokers} more: --json names them all`);
  return { title: 'brokers', lines };
}

function hostList(hosts: readonly HostListing[], now: Date): { title: string; lines: string[] } {
  // The latest first, because readers look for what has just changed.
  const sorted = [...hosts].sort((a, b) => b.connected_at.localeCompare(a.connected_at));
  const lines = sorted.slice(0, maxHosts).map(host => {
    const forS = (now.getTime() - Date.parse(host.connected_at)) / 1000;
    const { running, queued } = host.builds;
    const places = `builds ${running} of ${host.builder_capacity}, ${queued} queued`;
    return `${host.host_id}  ${host.coold_version || 'unknown'}, schema ${host.schema_max}, for ${formatAge(forS)}, ${places}`;
  });
  if (sorted.length > maxHosts) lines.push(`and ${sorted.length - maxHosts} more: --json names them all`);
  return { title: 'newest hosts', lines };
}

function counted(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** The number of each; the three most frequent are named. */
function tallied(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const named = sorted.slice(0, 3).map(([name, count]) => `${count} × ${name}`);
  if (sorted.length > 3) named.push(`${sorted.length - 3} others`);
  return named.length === 0 ? 'none' : named.join(', ');
}

function ms(value: number | null): string {
  return value === null ? '–' : `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}
