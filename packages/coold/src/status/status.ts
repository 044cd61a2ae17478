import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import type { RememberedLine, UnreadFiles, UnreadFilesList, Unserved, UnservedAddress } from '@coold/runtime';
import type { DiscoveryStats } from '../discovery/discovery.ts';
import type { DnsStats } from '../dns/dns.ts';
import type { UpstreamState } from '../dns/forward/keep-upstreams.ts';
import type { HostRouteState } from '../dns/host-route/keep-host-route.ts';
import type { StoreState } from '../firewall/store/store-state.ts';
import { type AskedPodman, askPodman, type PodmanHealth } from './ask-podman.ts';
import type { Credential, CredentialEnds } from './credential-ends.ts';
import { type Disk, type DiskPaths, readDisks } from './disks.ts';
import type { LinkState } from './link-state.ts';
import type { MeshAddress } from './mesh-address.ts';
import type { UnitFailures } from './unit-failures.ts';
import type { UnknownFor } from './unknown-for.ts';

/** `GET /status`: the state of this coold, shown by `coold status`. */
export interface CooldStatus {
  version: string;
  node: string;
  uptime_s: number;
  /** Null when no broker is configured. */
  link: {
    connected: boolean;
    state: string;
    since: string;
    /** Why the token or the CA is not usable. */
    credentials_problem: string | null;
  } | null;
  /** This clock compared with the broker's; null before the broker's first date. Absent from an older coold. */
  clock?: { ahead_s: number | null };
  /** Null when systemd did not start this process after a failure, or an hour has passed. */
  restarted?: { count: number; result: string; at: string } | null;
  /** COOLD_HOST_MGMT_IP, and whether an interface of this host has it. */
  mesh?: { address: string; address_up: boolean };
  /** Tokens and certificates that have to be renewed now. */
  ending: readonly { credential: Credential; ends_at: string }[];
  podman: PodmanHealth;
  /** The disks of containers, settings and builds. */
  disks: readonly Disk[];
  /** Addresses that cannot be listened on. Absent from an older coold. */
  unserved?: readonly UnservedAddress[];
  /** Files that could not be read again. Absent from an older coold. */
  unread?: readonly UnreadFiles[];
  directory: {
    rows: number;
    registrations: number;
    age_ms: number;
    connected: boolean;
    /** The latest event while changes are not reported. */
    problem: string | null;
    /** The number of rows whose address this host cannot reach. */
    unreachable: number;
    /** Hosts that were not seen for too long. */
    hosts_gone: readonly string[];
    /** Hosts that do not answer over WireGuard and are not gone yet. */
    hosts_silent?: readonly { host_mgmt_ip: string; last_handshake_s: number | null; rows: number }[];
    /** This host's slice for app networks; null when it has none. */
    network_pool: string | null;
    /** Slices of other hosts that overlap it. */
    pools_overlapping: readonly { host_mgmt_ip: string; network_pool: string }[];
    /** Whether Corrosion's database was restored to an older state, so that other hosts ignore its changes. */
    database_put_back: boolean;
  };
  sync: { rows: number; podman_failures: number; corrosion_failures: number };
  dns: {
    queries: number;
    forwarded: number;
    forward_errors: number;
    /** Answered from the cache. */
    cached: number;
    /** Answered from an expired cache entry, because no upstream answered. */
    stale: number;
    upstreams: readonly UpstreamState[];
    listeners: { namespace: string; address: string; bound: boolean; problem?: string }[];
    /** Whether the host itself resolves the zone; null when that is not configured. */
    host_route: { in_place: boolean; problem: string | null } | null;
  };
  firewall: {
    mode: StoreState['mode'];
    rules: number;
    /** The number of rules on which kernel, snapshots and coold's model differ. */
    drift: number;
    hook_repairs: number;
    /** Why coold cannot write its own ports into the guard. Absent from an older coold. */
    guard_problem?: string | null;
    /** How often the default deny had to be restored. */
    deny_repairs: number;
    /** What the default deny lacks while the mode is `broken`, or why it is `unknown`. */
    deny_problem: string | null;
    /** How long no check of the default deny has ended in time, in s; 0 when one has. Absent from an older coold. */
    unknown_s?: number;
    /** A change that failed and could not be undone, or snapshots that cannot be read. */
    problem: string | null;
    /** How coold's own settings differ from the scaffold's configuration, one sentence each. */
    differences: string[];
    /** What keeps allowed flows from passing. */
    lost_flows: string | null;
  };
  /** Null when this host does not build. */
  builds: { queued: number; running: number; finished: number } | null;
  /** The latest warnings and errors, newest first. */
  recent: RememberedLine[];
}

export interface StatusSources {
  version: string;
  /** Undefined when no broker is configured. */
  link: LinkState | undefined;
  ending: CredentialEnds['ending'];
  /** Undefined before the broker's first date. */
  clockAheadMs: () => number | undefined;
  restarted: UnitFailures['restarted'];
  mesh: MeshAddress;
  podman: AskedPodman;
  diskPaths: DiskPaths;
  unserved: Unserved['list'];
  unread: UnreadFilesList['list'];
  discovery: () => DiscoveryStats;
  dns: () => DnsStats;
  /** Undefined when it is not configured. */
  hostRoute: Readonly<HostRouteState> | undefined;
  firewall: {
    /** Resolves after announced changes of the default deny were checked. */
    state: () => Promise<StoreState>;
    unknownFor: UnknownFor;
    hookRepairs: () => number;
    guardProblem: () => string | undefined;
    denyRepairs: () => number;
    differences: () => Promise<string[]>;
    lostFlows: () => string | undefined;
  };
  /** Undefined when this host does not build. */
  builds: (() => readonly HostedBuild[]) | undefined;
  recent: () => RememberedLine[];
}

/** Asks Podman now, and the kernel where the default deny may have changed; everything else is in memory. Never fails. */
export async function readStatus(sources: StatusSources): Promise<CooldStatus> {
  const { version, link, podman } = sources;
  const [asked, disks] = await Promise.all([askPodman(podman), readDisks(sources.diskPaths)]);
  const { directory, sync, pools, databasePutBack, silent } = sources.discovery();
  const aheadMs = sources.clockAheadMs();
  const restarted = sources.restarted();
  const dns = sources.dns();
  const state = link?.now();
  return {
    version,
    node: process.version,
    uptime_s: Math.round(process.uptime()),
    link:
      state === undefined
        ? null
        : {
            connected: state.connected,
            state: state.line,
            since: state.since.toISOString(),
            credentials_problem: state.credentials.problem ?? null,
          },
    clock: { ahead_s: aheadMs === undefined ? null : Math.round(aheadMs / 1000) },
    restarted: restarted === undefined ? null : { ...restarted, at: new Date(restarted.at).toISOString() },
    mesh: { address: sources.mesh.address, address_up: sources.mesh.isUp() },
    ending: sources.ending(),
    podman: asked,
    disks,
    unserved: sources.unserved(),
    unread: sources.unread(),
    directory: {
      rows: directory.rows,
      registrations: directory.registrations,
      age_ms: Math.round(directory.ageMs),
      connected: directory.connected,
      problem: directory.problem ?? null,
      unreachable: directory.rowsUnreachable,
      hosts_gone: directory.hostsGone,
      hosts_silent: silent.map(({ hostMgmtIp, lastHandshakeS, rows }) => ({
        host_mgmt_ip: hostMgmtIp,
        last_handshake_s: lastHandshakeS ?? null,
        rows,
      })),
      network_pool: pools.own ?? null,
      pools_overlapping: pools.overlapping.map(({ hostMgmtIp, pool }) => ({
        host_mgmt_ip: hostMgmtIp,
        network_pool: pool,
      })),
      database_put_back: databasePutBack,
    },
    sync: {
      rows: sync.rows,
      podman_failures: sync.podmanFailures,
      corrosion_failures: sync.corrosionFailures,
    },
    dns: {
      queries: dns.queries,
      forwarded: dns.forwarded,
      forward_errors: dns.forwardErrors,
      cached: dns.cached,
      stale: dns.stale,
      upstreams: dns.upstreams,
      listeners: dns.listeners.map(({ namespace, address, bound, problem }) => ({
        namespace,
        address,
        bound,
        ...(problem === undefined ? {} : { problem }),
      })),
      host_route: readHostRoute(sources.hostRoute),
    },
    firewall: await readFirewall(sources.firewall),
    builds: sources.builds === undefined ? null : countBuilds(sources.builds()),
    recent: sources.recent(),
  };
}

function readHostRoute(state: StatusSources['hostRoute']): CooldStatus['dns']['host_route'] {
  if (state === undefined) return null;
  return { in_place: state.problem === undefined, problem: state.problem ?? null };
}

async function readFirewall({
  state,
  unknownFor,
  hookRepairs,
  guardProblem,
  denyRepairs,
  differences,
  lostFlows,
}: StatusSources['firewall']): Promise<CooldStatus['firewall']> {
  const { mode, rules, drift, foreign, unfinished, snapshotProblem, denyProblem } = await state();
  // A foreign rule in a chain opens nothing.
  const open = foreign.filter(({ plane }) => plane === 'guard');
  const differing = [drift.kernelOnly, drift.modelOnly, drift.planesDiffer, drift.snapshotDiffers, open];
  return {
    mode,
    rules: rules.model,
    drift: differing.reduce((sum, found) => sum + found.length, 0),
    hook_repairs: hookRepairs(),
    guard_problem: guardProblem() ?? null,
    problem: unfinished ?? snapshotProblem ?? null,
    deny_repairs: denyRepairs(),
    deny_problem: denyProblem ?? null,
    unknown_s: Math.round(unknownFor(mode === 'unknown') / 1000),
    differences: await differences(),
    lost_flows: lostFlows() ?? null,
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
