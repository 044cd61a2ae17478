import type { ContainerFacts } from '../../podman/lifecycle.ts';
import type { PodmanNetwork } from '../../podman/networks.ts';
import { type Endpoint, isDnsLabel } from '../endpoint.ts';
import type { Namespace } from '../namespaces.ts';

/** The namespaces of networks, by network. The first entry takes precedence. */
export type NetworkNamespaces = ReadonlyMap<string, string>;

/**
 * Returns networks in the order of the configuration, then those created with a namespace (docs/contract.md §3), by
 * name. Pure.
 *
 * @param label the network label that holds the namespace
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
 * Returns a container's row in the mesh; undefined when it is on no managed network. A container on several belongs to
 * the first one where it has an address. Pure.
 *
 * @returns also its other managed networks, and its additional names on the first, in lower case
 */
export function containerEndpoint(
  { id, name, state, health, networks, aliases }: ContainerFacts,
  namespaces: NetworkNamespaces,
  hostMgmtIp: string,
): { row: Endpoint; others: string[]; aliases: string[] } | undefined {
  const on = [...namespaces].filter(([network]) => networks.has(network));
  const [first, ...others] = on;
  if (first === undefined) return undefined;
  const [network, namespace] = first;
  const address = networks.get(network) ?? '';
  return {
    row: { containerId: id, name, namespace, hostMgmtIp, address, state, health },
    others: others.map(([other]) => other),
    aliases: aliasNames(aliases.get(network) ?? [], name),
  };
}

/** The most aliases per container that become names: each is a row of the mesh, and people use few. */
export const maxAliases = 16;

/** Returns the aliases that are valid in DNS and differ from the container's own name, each once. */
function aliasNames(aliases: readonly string[], own: string): string[] {
  const names = new Set(aliases.filter(isDnsLabel).map(alias => alias.toLowerCase()));
  names.delete(own.toLowerCase());
  return [...names].sort().slice(0, maxAliases);
}
