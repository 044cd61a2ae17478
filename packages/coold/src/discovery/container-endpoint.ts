import type { ContainerFacts } from '../podman/lifecycle.ts';
import type { PodmanNetwork } from '../podman/networks.ts';
import type { Endpoint } from './endpoint.ts';
import type { Namespace } from './namespaces.ts';

/** The namespace of each network that has one; first comes first. */
export type NetworkNamespaces = ReadonlyMap<string, string>;

/**
 * Networks in the order of the configuration, then those that were created with a namespace (docs/contract.md §3), by
 * name. Pure.
 *
 * @param label the network's label that names it
 */
export function networkNamespaces(
  configured: readonly Namespace[],
  networks: readonly PodmanNetwork[],
  label: string,
): NetworkNamespaces {
  const labelled = networks
    .flatMap(({ name, labels }) => (labels[label] ? [[name, labels[label]] as const] : []))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const all = new Map(configured.map(({ network, name }) => [network, name]));
  for (const [network, namespace] of labelled) if (!all.has(network)) all.set(network, namespace);
  return all;
}

/**
 * A container as the row it has in the mesh; undefined for one that is on no managed network. On several, it belongs to
 * the first, where it has one address. Pure.
 *
 * @returns also the managed networks that it is on besides
 */
export function containerEndpoint(
  { id, name, state, health, networks }: ContainerFacts,
  namespaces: NetworkNamespaces,
  hostMgmtIp: string,
): { row: Endpoint; others: string[] } | undefined {
  const on = [...namespaces].filter(([network]) => networks.has(network));
  const [first, ...others] = on;
  if (first === undefined) return undefined;
  const [network, namespace] = first;
  const address = networks.get(network) ?? '';
  return {
    row: { containerId: id, name, namespace, hostMgmtIp, address, state, health },
    others: others.map(([other]) => other),
  };
}
