import { setTimeout as delay } from 'node:timers/promises';
import type { Logger, Task } from '@coold/runtime';
import type { WireguardPeer } from '../api/host-facts.ts';
import { type Reach, reachOf } from './reach.ts';

/** WireGuard announces nothing, so its peers are read again and again, ms. */
const everyMs = 10_000;

export interface WatchPeersOptions {
  /** Undefined: there is no such interface. */
  readPeers(signal: AbortSignal): Promise<WireguardPeer[] | undefined>;
  /** Called at first and whenever the peers' networks have changed; not while there is no interface. */
  onReach(reach: Reach): void;
  log: Logger;
}

/** Tells what the mesh's interface leads to. An interface that is down for a while takes no names away. */
export function watchPeers({ readPeers, onReach, log }: WatchPeersOptions): Task {
  return async signal => {
    let known: string | undefined;
    while (!signal.aborted) {
      try {
        const peers = await readPeers(signal);
        const now = JSON.stringify(peers?.map(({ allowedIps }) => allowedIps.toSorted()).sort());
        if (peers !== undefined && now !== known) onReach(reachOf(peers));
        known = now ?? known;
      } catch (error) {
        if (!signal.aborted) log.debug({ err: error }, 'the peers of the mesh cannot be read; trying again');
      }
      await delay(everyMs, undefined, { signal }).catch(() => {});
    }
  };
}
