import { isIPv4 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Address, Logger, Task } from '@coold/runtime';
import type { Announcement } from './announcement.ts';
import { type Cidr, outermost } from './cidr.ts';
import { apiClients, apiSockets, guardTable, linksElement } from './guard.ts';
import { hasGuardChain } from './guard-counters.ts';
import { runTool } from './iptables.ts';
import { readMeshLinks } from './mesh-links.ts';

/** Between two looks where nothing was announced: the scaffold may have been put in since. */
const everyMs = 30_000;

export interface KeepGuardOptions {
  /** Where this coold serves its REST API and metrics. */
  sockets: readonly Address[];
  /** Containers that reach them nevertheless. */
  clients: readonly Cidr[];
  /** Tells when the packet filter was changed. */
  changes: Pick<Announcement, 'next'>;
  log: Logger;
  onFirstLook: () => void;
}

/**
 * Has the guard know what coold listens on, so that containers do not reach it (docs/contract.md §3, §4), and the bridges of
 * networks that Podman has made since the scaffold was put in. The sets stay when coold ends: then there is nothing to
 * reach. A host without the guard is left as it is.
 */
export function keepGuard(options: KeepGuardOptions): Task {
  const { sockets, clients, changes, log, onFirstLook } = options;
  return async stop => {
    /** What an earlier coold listened on goes once. */
    let isFirst = true;
    while (!stop.aborted) {
      const change = changes.next();
      try {
        if (await hasGuardChain('arrive')) {
          const links = linksElement(await readMeshLinks([]));
          await runTool('nft', ['-f', '-'], `${renderApiGuard(sockets, clients, isFirst)}${links}\n`);
          isFirst = false;
        }
      } catch (error) {
        log.warn(
          { err: error },
          'the guard cannot be told which ports containers must not reach, and by which bridges they send; trying again',
        );
      }
      onFirstLook();
      await Promise.race([change, delay(everyMs, undefined, { signal: stop }).catch(() => {})]);
    }
  };
}

/** Input for `nft -f`. @param anew whether what the sets hold goes first */
export function renderApiGuard(sockets: readonly Address[], clients: readonly Cidr[], anew: boolean): string {
  const places = sockets.filter(({ host }) => isIPv4(host)).map(({ host, port }) => `${host} . ${port}`);
  return [
    ...setLines(apiSockets, [...new Set(places)], anew),
    ...setLines(apiClients, outermost(clients), anew),
  ]
    .map(line => `${line}\n`)
    .join('');
}

function setLines(name: string, elements: readonly string[], anew: boolean): string[] {
  return [
    ...(anew ? [`flush set ${guardTable} ${name}`] : []),
    ...(elements.length === 0 ? [] : [`add element ${guardTable} ${name} { ${elements.join(', ')} }`]),
  ];
}
