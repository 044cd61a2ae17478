import type { Namespace } from '../discovery/namespaces.ts';
import type { PodmanNetwork } from '../podman/networks.ts';
import type { NetworkDns } from './container-spec.ts';
import { namespaceLabel } from './namespace-networks.ts';

/** This host's place in the mesh: its namespaces and the zone that their names are in. */
export interface MeshNames {
  /** The host's address in the mesh. */
  hostMgmtIp: string;
  namespaces: readonly Namespace[];
  zone: string;
}

/**
 * The resolver of a container on these networks: the gateways of their namespaces, where coold answers, and the zone to
 * complete names with (docs/contract.md §3). Undefined where no namespace of theirs has a gateway.
 */
export function networkDns(
  names: readonly string[],
  networks: readonly PodmanNetwork[],
  { namespaces, zone }: Omit<MeshNames, 'hostMgmtIp'>,
): NetworkDns | undefined {
  const labels = new Map(networks.map(network => [network.name, network.labels[namespaceLabel]]));
  const isOurs = ({ name, network }: Namespace) =>
    names.some(candidate => candidate === network || labels.get(candidate) === name);
  const servers = namespaces
    .filter(isOurs)
    .map(({ gateway }) => gateway)
    // 0.0.0.0: no DNS for this one (docs/contract.md §6).
    .filter(gateway => gateway !== '0.0.0.0');
  return servers.length === 0 ? undefined : { servers, search: [zone] };
}
