import type { Namespace } from '../discovery/namespaces.ts';
import type { ServedNetwork } from '../dns/dns.ts';
import type { PodmanNetwork } from '../podman/networks.ts';
import type { NetworkDns } from './container-spec.ts';
import { namespaceLabel } from './namespace-networks.ts';

/** The gateway of a namespace that has no DNS. */
const noGateway = '0.0.0.0';

/** This host's place in the mesh: its namespaces and the zone that their names are in. */
export interface MeshNames {
  /** The host's address in the mesh. */
  hostMgmtIp: string;
  namespaces: readonly Namespace[];
  zone: string;
}

/**
 * The resolver of a container on these networks: their own gateways, where coold answers, and what to complete names with,
 * the domains of their namespaces before the zone (docs/contract.md §3). Undefined where none of their namespaces has DNS.
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

/**
 * The networks that were created for a namespace and have DNS, by name. A namespace without a gateway has no DNS, so
 * neither have its networks (docs/contract.md §6).
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
