import { setTimeout as delay } from 'node:timers/promises';
import type { Logger, Task } from '@coold/runtime';
import type { WireguardPeer } from '../api/host-facts.ts';
import { covers } from '../firewall/cidr.ts';

/** Peers come and go with hosts; only statistics depend on them, ms. */
const everyMs = 30_000;

export interface WatchPeersOptions {
  hostMgmtIp: string;
  readPeers(signal: AbortSignal): Promise<WireguardPeer[]>;
  onPeers(isPeer: (hostMgmtIp: string) => boolean): void;
  log: Logger;
}

/** Says now and then which hosts the mesh's interface has a peer for; this host is one of them. */
export function watchPeers({ hostMgmtIp, readPeers, onPeers, log }: WatchPeersOptions): Task {
  return async signal => {
    while (!signal.aborted) {
      try {
        const allowed = (await readPeers(signal)).flatMap(({ allowedIps }) => allowedIps);
        const networks = allowed.filter(network => !network.includes(':'));
        onPeers(host => host === hostMgmtIp || networks.some(network => covers(network, `${host}/32`)));
      } catch (error) {
        if (!signal.aborted) log.debug({ err: error }, 'the peers of the mesh cannot be read; trying again');
      }
      await delay(everyMs, undefined, { signal }).catch(() => {});
    }
  };
}
