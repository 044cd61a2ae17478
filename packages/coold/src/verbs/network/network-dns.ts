import type { Namespace } from '../../discovery/namespaces.ts';
import type { ServedNetwork } from '../../dns/dns.ts';
import type { PodmanNetwork } from '../../podman/networks.ts';
import type { NetworkDns } from '../container/container-spec.ts';
import { namespaceLabel } from './namespace-networks.ts';

/** The gateway of a namespace without DNS. */
const noGateway = '0.0.0.0';

/** This host's place in the mesh: its namespaces, and the zone of their names. */
export interface MeshNames {
  /** The host's address in the mesh. */
  hostMgmtIp: string;
  namespaces: readonly Namespace[];
  zone: string;
}

/**
 * Returns the resolver settings of a container on these networks: their gateways, where coold answers, and the search
 * domains, those of their namespaces before the zone (docs/contract.md §3). Undefined when none of the namespaces has
 * DNS.
 */
export function networkDns(
  names: readonly string[],
  networks: readonly PodmanNetwork[],
  { namespaces, zone }: Omit<MeshNames, 'hostMgmtIp'>,
): NetworkDns | undefined {
  const created = servedNetworks(networks, namespaces);
  const served = names.flatMap(name => {
    const own = namespaces.find(({ network }) => network === name);
    if (own === undefined) return created.filter(({ network }) => network === name);
    return own.gateway === noGateway ? [] : [{ namespace: own.name, gateway: own.gateway }];
  });
  if (served.length === 0) return undefined;
  return {
    servers: [...new Set(served.map(({ gateway }) => gateway))],
    search: [...new Set(served.map(({ namespace }) => `${namespace}.${zone}`)), zone],
  };
}

/** The networks of mesh.env; `none` and `unusable` when it gives none. */
type MeshEnvNetworks =
  | { kind: 'none' | 'unusable' }
  | { kind: 'named'; scaffold: { subnets: readonly string[]; pools: readonly string[] } };

/**
 * Returns the IPv4 networks of the mesh: those of namespaces, including networks created for one, and those in
 * `mesh.env` (docs/contract.md §4). Other hosts' addresses are known from WireGuard's peers.
 */
export function meshNetworks(
  networks: readonly PodmanNetwork[],
  namespaces: readonly Namespace[],
  desired: MeshEnvNetworks,
): string[] {
  const managed = networks.filter(
    ({ name, labels }) =>
      (labels[namespaceLabel] ?? '') !== '' || namespaces.some(one => one.network === name),
  );
  const named = desired.kind === 'named' ? [...desired.scaffold.subnets, ...desired.scaffold.pools] : [];
  return [...managed.flatMap(({ subnets }) => subnets.map(({ subnet }) => subnet)), ...named];
}

/**
 * Returns the networks that were created for a namespace and have DNS, by name. Networks of a namespace without a
 * gateway have no DNS (docs/contract.md §6).
 */
export function servedNetworks(
  networks: readonly PodmanNetwork[],
  namespaces: readonly Namespace[],
): (ServedNetwork & { network: string })[] {
  return networks
    .flatMap(({ name, labels, subnets }) => {
      const namespace = namespaces.find(candidate => candidate.name === labels[namespaceLabel]);
      const gateway = subnets.find(({ subnet }) => !subnet.includes(':'))?.gateway ?? '';
      const isOwn = namespaces.some(({ network }) => network === name);
      if (namespace === undefined || isOwn || gateway === '' || namespace.gateway === noGateway) return [];
      return [{ network: name, namespace: namespace.name, gateway }];
    })
    .sort((a, b) => (a.network < b.network ? -1 : 1));
}
