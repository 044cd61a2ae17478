import { quantile } from './latency.ts';
import type { Metrics, Sources } from './metrics.ts';

/** `GET /v1/status`: how this broker is, in numbers; what `broker status` shows. Counts are since the start. */
export interface BrokerStatus {
  version: string;
  node: string;
  uptime_s: number;
  /** Of the gRPC listener's certificate; null: plain HTTP/2. */
  tls: { not_after: string } | null;
  hosts: number;
  connections: { open: number; idle: number };
  pending: { max: number; waiting: number; landed: number; overdue: number };
  evictions: { landed: number; overdue: number; builds: number };
  streamed_commands: number;
  builds: { waiting: number; landed: number; remembered: number };
  /** Times are null as long as no host was asked. */
  dispatches: { by_outcome: Record<string, number>; p50_ms: number | null; p99_ms: number | null };
  connects: number;
  replacements: number;
  disconnects: Record<string, number>;
  auth_failures: Record<string, number>;
  refused_hellos: number;
  ignored_frames: Record<string, number>;
  /** Null: this broker is alone. */
  peers: PeersStatus | null;
}

/** Of the other brokers. */
export interface PeersStatus {
  /** Hosts with a route, by where it leads. */
  routes: { here: number; elsewhere: number };
  followed: boolean;
  unwritten: number;
  links: number;
  /** Of the certificate that the others are shown. */
  not_after: string;
  forwarded: { by_outcome: Record<string, number>; p50_ms: number | null; p99_ms: number | null };
  taken: Record<string, number>;
}

export interface StatusDeps {
  version: string;
  /** When the gRPC listener's certificate ends; undefined: plain HTTP/2. */
  certificateEnds: Date | undefined;
  metrics: Pick<Metrics, 'dispatches' | 'forwards'>;
  sources: Sources;
}

export async function readStatus(deps: StatusDeps): Promise<BrokerStatus> {
  const { version, certificateEnds, metrics, sources } = deps;
  const { hosts, counts, pending, pendingMax, streams, builds, connections } = sources;
  const { byOutcome, latency } = await metrics.dispatches();
  return {
    version,
    node: process.version,
    uptime_s: Math.round(process.uptime()),
    tls: certificateEnds === undefined ? null : { not_after: certificateEnds.toISOString() },
    hosts: hosts.list().length,
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
    disconnects: Object.fromEntries(counts.left),
    auth_failures: Object.fromEntries(counts.authFailures),
    refused_hellos: counts.refusedHellos,
    ignored_frames: Object.fromEntries(counts.ignored),
    peers: await readPeers(deps),
  };
}

async function readPeers({ metrics, sources }: StatusDeps): Promise<PeersStatus | null> {
  if (sources.peers === undefined) return null;
  const { routes, followed, unwritten, links, taken, certificateEnds } = sources.peers();
  const { byOutcome, latency } = await metrics.forwards();
  return {
    ...{ routes: routes(), followed, unwritten, links, taken: Object.fromEntries(taken) },
    not_after: certificateEnds().toISOString(),
    forwarded: {
      by_outcome: byOutcome,
      p50_ms: quantile(latency, 0.5) ?? null,
      p99_ms: quantile(latency, 0.99) ?? null,
    },
  };
}
