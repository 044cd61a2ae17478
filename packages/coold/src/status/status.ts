import type { RememberedLine } from '@coold/runtime';
import type { DiscoveryStats } from '../discovery/discovery.ts';
import type { DnsStats } from '../dns/dns.ts';
import type { PodmanHost } from '../podman/host.ts';
import type { LinkState } from './link-state.ts';

/** `GET /status`: how this coold is; what `coold status` shows. */
export interface CooldStatus {
  version: string;
  node: string;
  uptime_s: number;
  /** Null: no broker is configured. */
  link: { connected: boolean; state: string; since: string } | null;
  podman: { version: string } | { problem: string };
  directory: {
    rows: number;
    registrations: number;
    age_ms: number;
    connected: boolean;
    without_peer: number;
  };
  sync: { rows: number; podman_failures: number; corrosion_failures: number };
  dns: {
    queries: number;
    forwarded: number;
    forward_errors: number;
    listeners: { namespace: string; address: string; bound: boolean; problem?: string }[];
  };
  /** The last warnings and errors, newest first. */
  recent: RememberedLine[];
}

export interface StatusSources {
  version: string;
  /** Undefined: no broker is configured. */
  link: LinkState | undefined;
  podman: Pick<PodmanHost, 'facts'>;
  discovery: () => DiscoveryStats;
  dns: () => DnsStats;
  recent: () => RememberedLine[];
}

/** Longer than a Podman that is well takes, even on a busy host, in ms. */
const podmanMs = 3000;

/** Podman is asked now; everything else is known. Never fails. */
export async function readStatus(sources: StatusSources): Promise<CooldStatus> {
  const { version, link, podman } = sources;
  const asked = await podman.facts(AbortSignal.timeout(podmanMs)).then(
    facts => ({ version: facts.version }),
    (error: unknown) => ({ problem: error instanceof Error ? error.message : String(error) }),
  );
  const { directory, sync } = sources.discovery();
  const dns = sources.dns();
  const state = link?.now();
  return {
    ...{ version, node: process.version, uptime_s: Math.round(process.uptime()) },
    link:
      state === undefined
        ? null
        : { connected: state.connected, state: state.line, since: state.since.toISOString() },
    podman: asked,
    directory: {
      rows: directory.rows,
      registrations: directory.registrations,
      age_ms: Math.round(directory.ageMs),
      connected: directory.connected,
      without_peer: directory.rowsWithoutPeer,
    },
    sync: {
      rows: sync.rows,
      podman_failures: sync.podmanFailures,
      corrosion_failures: sync.corrosionFailures,
    },
    dns: {
      ...{ queries: dns.queries, forwarded: dns.forwarded, forward_errors: dns.forwardErrors },
      listeners: dns.listeners.map(({ namespace, address, bound, problem }) => ({
        ...{ namespace, address, bound },
        ...(problem === undefined ? {} : { problem }),
      })),
    },
    recent: sources.recent(),
  };
}
