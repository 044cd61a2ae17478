import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import { pause, type Task } from '@coold/runtime';
import type { StoreState } from '../firewall/store/store-state.ts';
import type { EventLog } from './event-log.ts';

/** The parts of coold's in-memory state that are polled. Reading them costs nothing. */
export interface WatchedHost {
  firewall(): Pick<StoreState, 'mode' | 'drift' | 'denyProblem' | 'snapshotProblem' | 'unfinished'>;
  repairs(): { hooks: number; deny: number };
  listeners(): readonly {
    namespace: string;
    address: string;
    bound: boolean;
    problem?: string | undefined;
  }[];
  /** Undefined when this host does not build. */
  builds: (() => readonly HostedBuild[]) | undefined;
}

/** The polling interval, in ms. A change that is reverted within it is no event; repairs are counted, so none is lost. */
const everyMs = 1000;
const maxText = 500;

/** Reports changes of firewall, DNS and builds to the log until stopped. Discovery reports containers. */
export function watchHost(log: EventLog, host: WatchedHost, intervalMs = everyMs): Task {
  return async stop => {
    const repaired = { ...host.repairs() };
    while (!stop.aborted) {
      lookAt(log, host, repaired);
      await pause(intervalMs, stop);
    }
  };
}

function lookAt(log: EventLog, host: WatchedHost, repaired: { hooks: number; deny: number }): void {
  const firewall = factOf(host.firewall());
  const repairs = host.repairs();
  for (const what of ['hooks', 'deny'] as const)
    for (; repaired[what] < repairs[what]; repaired[what] += 1)
      log.happened({ type: 'firewall.repair', firewall: { ...firewall, repaired: what } });
  log.know('firewall', { type: 'firewall.state', firewall });
  const seen = new Set<string>();
  for (const { namespace, address, bound, problem = '' } of host.listeners()) {
    const topic = `dns ${namespace} ${address}`;
    seen.add(topic);
    const dns = { namespace, address, bound, problem: bound ? '' : problem.slice(0, maxText) };
    log.know(topic, { type: 'dns.listener', dns });
  }
  for (const { requestId, state } of host.builds?.() ?? []) {
    const topic = `build ${requestId}`;
    seen.add(topic);
    log.know(topic, { type: 'build.state', build: { requestId, state: buildStates[state] } });
  }
  forgetOthers(log, seen);
}

function forgetOthers(log: EventLog, seen: ReadonlySet<string>): void {
  for (const topic of [...log.topics()]) {
    if (seen.has(topic)) continue;
    const { dns, build } = log.known(topic) ?? {};
    if (dns != null) log.forget(topic, { type: 'dns.removed', dns: { ...dns, bound: false } });
    if (build != null) log.forget(topic, { type: 'build.removed', build });
  }
}

function factOf(state: ReturnType<WatchedHost['firewall']>) {
  const { mode, drift, denyProblem, snapshotProblem, unfinished } = state;
  const differing = [drift.kernelOnly, drift.modelOnly, drift.planesDiffer, drift.snapshotDiffers];
  return {
    mode,
    drift: differing.reduce((sum, found) => sum + found.length, 0),
    problem: (unfinished ?? snapshotProblem ?? denyProblem ?? '').slice(0, maxText),
  };
}

const buildStates: Record<HostedBuild_State, string> = {
  [HostedBuild_State.UNSPECIFIED]: 'unknown',
  [HostedBuild_State.QUEUED]: 'queued',
  [HostedBuild_State.RUNNING]: 'running',
  [HostedBuild_State.FINISHED]: 'finished',
};
