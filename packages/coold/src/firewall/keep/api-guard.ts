import { isIPv4 } from 'node:net';
import type { Address } from '@coold/runtime';
import { apiClients, apiSockets, guardTable } from '../deny/guard.ts';
import { type Cidr, outermost } from '../rule/cidr.ts';

/** What the guard has to know of coold's own ports, so that containers cannot reach them (docs/contract.md §3, §4). */
export interface ApiGuard {
  /** The addresses of this coold's REST API and metrics. */
  readonly sockets: readonly Address[];
  /** Containers that may reach them nevertheless. */
  readonly clients: readonly Cidr[];
  /** Whether this coold has written it into the guard yet. */
  isTold: boolean;
}

/** What of this coold containers must not reach: its REST API and its metrics, where they have an address. */
export function ownSockets(config: {
  apiBind: Address | undefined;
  metricsBind: Address | undefined;
}): Address[] {
  return [config.apiBind, config.metricsBind].filter(address => address !== undefined);
}

/** Returns input for `nft -f`. @param anew whether to empty the sets first */
export function renderApiGuard({ sockets, clients }: ApiGuard, anew: boolean): string {
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
