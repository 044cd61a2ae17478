import type { Life, UnreadFiles, UnreadFilesList, Unserved, UnservedAddress } from '@coold/runtime';
import { endingTokens } from '../agent/ending-tokens.ts';
import type { AwayHost } from '../hosts/away-hosts.ts';
import type { HostStream } from '../hosts/hosts.ts';
import type { OtherBroker } from '../peers/membership/other-brokers.ts';
import { quantile } from './latency.ts';
import type { Metrics, Sources } from './metrics.ts';

/** The validity period of a certificate. A broker that was not restarted after an update does not report its begin. */
export interface CertificateLife {
  not_before?: string | undefined;
  not_after: string;
}

/** The answer of `GET /v1/status`, which `broker status` shows. Counts are since the start. */
export interface BrokerStatus {
  version: string;
  node: string;
  uptime_s: number;
  /** Of the gRPC listener's certificate; null: plain HTTP/2. */
  tls: CertificateLife | null;
  hosts: number;
  /** Hosts that left within a day and are not back: their number, and those that are away longest. */
  hosts_away: { count: number; first: { host_id: string; since: string }[] };
  /** Hosts whose token must be renewed now: their number, and those whose token ends first. */
  ending_tokens: { count: number; first: { host_id: string; ends_at: string }[] };
  connections: { open: number; idle: number };
  pending: { max: number; waiting: number; landed: number; overdue: number };
  evictions: { landed: number; overdue: number; builds: number };
  streamed_commands: number;
  builds: { waiting: number; landed: number; remembered: number };
  /** Times are null until a host was asked. */
  dispatches: { by_outcome: Record<string, number>; p50_ms: number | null; p99_ms: number | null };
  connects: number;
  replacements: number;
  /** Hosts whose streams replace each other again and again. Older brokers do not report them. */
  contested_hosts?: { host_id: string; replacements: number; addresses: readonly string[] }[];
  disconnects: Record<string, number>;
  auth_failures: Record<string, number>;
  refused_hellos: number;
  ignored_frames: Record<string, number>;
  /** Null: this broker is alone. */
  peers: PeersStatus | null;
  /** Addresses that the broker cannot listen on. Older brokers do not report them. */
  unserved?: readonly UnservedAddress[];
  /** Files that cannot be read again. Older brokers do not report them. */
  unread?: readonly UnreadFiles[];
}

/** The other brokers, seen from this one. */
export interface PeersStatus {
  /** Hosts with a route, by where it leads. */
  routes: { here: number; elsewhere: number; lapsed: number };
  /** The other brokers, dead ones first; at most 50 are named. */
  brokers: { alive: number; dead: number; without_heartbeat: number; first: OtherBrokerStatus[] };
  /** The age of this broker's own heartbeat, in seconds; null: the schema has no table for it. */
  heartbeat_age_s: number | null;
  /** A broker without a new heartbeat for this long is dead, in seconds. */
  heartbeat_ttl_s: number;
  /** Calls about builds of other brokers. */
  builds: Record<string, number>;
  followed: boolean;
  unwritten: number;
  links: number;
  /** Of the certificate that this broker shows to the others; each as in `CertificateLife`. */
  not_before?: string | undefined;
  not_after: string;
  /** Of the CA that signed the others' certificates. */
  ca_not_before?: string | undefined;
  ca_not_after: string;
  forwarded: { by_outcome: Record<string, number>; p50_ms: number | null; p99_ms: number | null };
  taken: Record<string, number>;
}

export interface OtherBrokerStatus {
  broker_id: string;
  address: string;
  state: 'alive' | 'dead' | 'without heartbeat';
  /** How long its heartbeat has not changed, in seconds; null: it has none. */
  still_s: number | null;
  /** The number of its hosts, by the routes. */
  routes: number;
}

export interface StatusDeps {
  version: string;
  /** Of the gRPC listener's certificate; undefined: plain HTTP/2. */
  certificate: Life | undefined;
  metrics: Pick<Metrics, 'dispatches' | 'forwards'>;
  sources: Sources;
  unserved: Unserved['list'];
  unread: UnreadFilesList['list'];
}

export async function readStatus(deps: StatusDeps): Promise<BrokerStatus> {
  const { version, certificate, metrics, sources, unserved, unread } = deps;
  const { hosts, counts, pending, pendingMax, streams, builds, connections } = sources;
  const { byOutcome, latency } = await metrics.dispatches();
  return {
    version,
    node: process.version,
    uptime_s: Math.round(process.uptime()),
    tls: certificate === undefined ? null : readLife(certificate),
    hosts: hosts.list().length,
    hosts_away: readAway(sources.awayHosts()),
    ending_tokens: readEndingTokens(endingTokens(hosts.list(), Date.now())),
    connections: connections(),
    pending: { max: pendingMax, ...pending.counts() },
    evictions: { ...pending.evictions(), builds: builds.evictions() },
    streamed_commands: streams.count(),
    builds: builds.counts(),
    dispatches: {
      by_outcome: byOutcome,
      p50_ms: quantile(latency, 0.5) ?? null,
      p99_ms: quantile(latency, 0.99) ?? null,
    },
    connects: counts.connects,
    replacements: counts.replacements,
    contested_hosts: counts.contested
      .list()
      .map(({ hostId, replacements, addresses }) => ({ host_id: hostId, replacements, addresses })),
    disconnects: Object.fromEntries(counts.left),
    auth_failures: Object.fromEntries(counts.authFailures),
    refused_hellos: counts.refusedHellos,
    ignored_frames: Object.fromEntries(counts.ignored),
    peers: await readPeers(deps),
    unserved: unserved(),
    unread: unread(),
  };
}

function readLife({ begins, ends }: Life): CertificateLife {
  return {
    ...(begins === undefined ? {} : { not_before: new Date(begins).toISOString() }),
    not_after: new Date(ends).toISOString(),
  };
}

/** The most hosts that are named; the others are counted. */
const maxNamed = 5;

function readEndingTokens(streams: readonly HostStream[]): BrokerStatus['ending_tokens'] {
  const first = streams
    .slice(0, maxNamed)
    .map(({ hostId, tokenExpiresAt }) => ({
      host_id: hostId,
      ends_at: new Date(tokenExpiresAt).toISOString(),
    }));
  return { count: streams.length, first };
}

function readAway(away: readonly AwayHost[]): BrokerStatus['hosts_away'] {
  const first = away
    .slice(0, maxNamed)
    .map(({ hostId, since }) => ({ host_id: hostId, since: new Date(since).toISOString() }));
  return { count: away.length, first };
}

async function readPeers({ metrics, sources }: StatusDeps): Promise<PeersStatus | null> {
  if (sources.peers === undefined) return null;
  const { routes, followed, unwritten, links, taken, certificate, authority, ...peers } = sources.peers();
  const age = peers.heartbeatAgeMs();
  const ca = readLife(authority());
  const { byOutcome, latency } = await metrics.forwards();
  return {
    routes: routes(),
    followed,
    unwritten,
    links,
    taken: Object.fromEntries(taken),
    brokers: readBrokers(peers.others()),
    heartbeat_age_s: age === undefined ? null : Math.round(age / 1000),
    heartbeat_ttl_s: peers.ttlMs / 1000,
    builds: Object.fromEntries(peers.builds),
    ...readLife(certificate()),
    ca_not_before: ca.not_before,
    ca_not_after: ca.not_after,
    forwarded: {
      by_outcome: byOutcome,
      p50_ms: quantile(latency, 0.5) ?? null,
      p99_ms: quantile(latency, 0.99) ?? null,
    },
  };
}

/** The most brokers that are named; the others are counted. */
const maxBrokers = 50;

function readBrokers(others: readonly OtherBroker[]): PeersStatus['brokers'] {
  const brokers = others.map(({ brokerId, address, isDead, stillMs, routes }): OtherBrokerStatus => {
    const state = isDead ? 'dead' : stillMs === undefined ? 'without heartbeat' : 'alive';
    const still_s = stillMs === undefined ? null : Math.round(stillMs / 1000);
    return { broker_id: brokerId, address, state, still_s, routes };
  });
  const count = (state: OtherBrokerStatus['state']) =>
    brokers.filter(broker => broker.state === state).length;
  return {
    alive: count('alive'),
    dead: count('dead'),
    without_heartbeat: count('without heartbeat'),
    first: brokers.slice(0, maxBrokers),
  };
}
