import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import type { RememberedLine } from '@coold/runtime';
import type { DiscoveryStats } from '../discovery/discovery.ts';
import type { DnsStats } from '../dns/dns.ts';
import type { UpstreamState } from '../dns/keep-upstreams.ts';
import type { StoreState } from '../firewall/store-state.ts';
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
    /** Rows whose address this host cannot reach. */
    unreachable: number;
    /** Hosts that were not seen for too long. */
    hosts_gone: readonly string[];
  };
  sync: { rows: number; podman_failures: number; corrosion_failures: number };
  dns: {
    queries: number;
    forwarded: number;
    forward_errors: number;
    /** Answered from the cache, and not forwarded. */
    cached: number;
    /** Answered by what had run out in the cache, since no upstream answered. */
    stale: number;
    upstreams: readonly UpstreamState[];
    listeners: { namespace: string; address: string; bound: boolean; problem?: string }[];
  };
  firewall: {
    mode: StoreState['mode'];
    rules: number;
    /** Rules in which kernel, snapshots and what was asked for differ. */
    drift: number;
    hook_repairs: number;
    /** How often the default deny itself was gone and was put back. */
    deny_repairs: number;
    /** What is missing of the default deny while the mode is `broken`. */
    deny_problem: string | null;
    /** A change that failed and could not be taken back, or snapshots that cannot be read. */
    problem: string | null;
    /** How coold's own settings differ from what the scaffold is made of, one sentence each. */
    differences: string[];
    /** What keeps allowed flows from passing. */
    lost_flows: string | null;
  };
  /** Null: this host does not build. */
  builds: { queued: number; running: number; finished: number } | null;
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
  firewall: {
    state: () => StoreState;
    hookRepairs: () => number;
    denyRepairs: () => number;
    differences: () => Promise<string[]>;
    lostFlows: () => string | undefined;
  };
  /** Undefined: this host does not build. */
  builds: (() => readonly HostedBuild[]) | undefined;
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
      unreachable: directory.rowsUnreachable,
      hosts_gone: directory.hostsGone,
    },
    sync: {
      rows: sync.rows,
      podman_failures: sync.podmanFailures,
      corrosion_failures: sync.corrosionFailures,
    },
    dns: {
      ...{ queries: dns.queries, forwarded: dns.forwarded, forward_errors: dns.forwardErrors },
      ...{ cached: dns.cached, stale: dns.stale, upstreams: dns.upstreams },
      listeners: dns.listeners.map(({ namespace, address, bound, problem }) => ({
        ...{ namespace, address, bound },
        ...(problem === undefined ? {} : { problem }),
      })),
    },
    firewall: await readFirewall(sources.firewall),
    builds: sources.builds === undefined ? null : countBuilds(sources.builds()),
    recent: sources.recent(),
  };
}

async function readFirewall({
  state,
  hookRepairs,
  denyRepairs,
  differences,
  lostFlows,
}: StatusSources['firewall']): Promise<CooldStatus['firewall']> {
  const { mode, rules, drift, unfinished, snapshotProblem, denyProblem } = state();
  const differing = [drift.kernelOnly, drift.modelOnly, drift.planesDiffer, drift.snapshotDiffers];
  return {
    ...{ mode, rules: rules.model, drift: differing.reduce((sum, ids) => sum + ids.length, 0) },
    ...{ hook_repairs: hookRepairs(), problem: unfinished ?? snapshotProblem ?? null },
    ...{ deny_repairs: denyRepairs(), deny_problem: denyProblem ?? null },
    ...{ differences: await differences(), lost_flows: lostFlows() ?? null },
  };
}

function countBuilds(builds: readonly HostedBuild[]): CooldStatus['builds'] {
  const count = (wanted: HostedBuild_State) => builds.filter(({ state }) => state === wanted).length;
  return {
    queued: count(HostedBuild_State.QUEUED),
    running: count(HostedBuild_State.RUNNING),
    finished: count(HostedBuild_State.FINISHED),
  };
}
