import { VerbError } from '@coold/errors';
import type { ContainersCreateRequest } from '@coold/proto';
import { networkNamespaces } from '../../discovery/containers/container-endpoint.ts';
import { covers, endsOf } from '../../firewall/rule/cidr.ts';
import { mayBeginId } from '../../podman/exact-names.ts';
import type { PodmanNetwork } from '../../podman/networks.ts';
import { pinLabel } from '../../podman/pinned-address.ts';
import { invalid } from '../names.ts';
import { namespaceLabel } from '../network/namespace-networks.ts';
import type { MeshNames } from '../network/network-dns.ts';
import type { ContainerSpec } from './container-spec.ts';

// The networks that a container is created on, and its addresses there. Pure.

/**
 * Returns the networks that a container is to be on. A network that Podman does not list is left for Podman to refuse,
 * unless the name could be the beginning of another network's id, which Podman would accept.
 *
 * @throws VerbError 404 naming the field
 */
export function namedNetworks(
  { network, networks }: ContainersCreateRequest,
  listed: readonly PodmanNetwork[],
): { network: PodmanNetwork; field: string }[] {
  const named: [field: string, name: string][] = [
    ...(network === '' ? [] : [['network', network] as [string, string]]),
    ...networks.map((name, index): [string, string] => [`networks[${index}]`, name]),
  ];
  return named.flatMap(([field, name]) => {
    const found = listed.find(candidate => candidate.name === name);
    if (found !== undefined) return [{ network: found, field }];
    if (mayBeginId(name)) throw new VerbError('network_not_found', `no network is named ${name}`, { field });
    return [];
  });
}

/** Whether coold manages the addresses of a network's containers: it belongs to a namespace, or was created for one. */
export function isManaged({ name, labels }: PodmanNetwork, { namespaces }: MeshNames): boolean {
  return namespaces.some(({ network }) => network === name) || (labels[namespaceLabel] ?? '') !== '';
}

/** Returns this host's mesh addresses: its management address, and the gateways of managed networks. */
export function meshAddresses(networks: readonly PodmanNetwork[], mesh: MeshNames): Set<string> {
  const managed = networks.filter(network => isManaged(network, mesh));
  return new Set([
    mesh.hostMgmtIp,
    ...mesh.namespaces.map(({ gateway }) => gateway).filter(gateway => gateway !== '0.0.0.0'),
    ...managed.flatMap(({ subnets }) => subnets.map(({ gateway }) => gateway)),
  ]);
}

/** @throws VerbError 400 for an address that no container of the network can have */
export function checkInside(ip: string, { name, subnets }: PodmanNetwork): void {
  const subnet = subnets.find(candidate => !candidate.subnet.includes(':'));
  if (subnet === undefined || !covers(subnet.subnet, `${ip}/32`))
    throw invalid('ip', `expected an address in ${subnet?.subnet ?? 'an IPv4 subnet'}, network ${name}'s`);
  if (ip === subnet.gateway || endsOf(subnet.subnet).includes(ip))
    throw invalid('ip', `${ip} is not an address for containers in network ${name}`);
}

/** Stores a container's addresses on the container itself, because Podman forgets them while it does not run. */
export function withAddresses(spec: ContainerSpec, addresses: ReadonlyMap<string, string>): ContainerSpec {
  if (addresses.size === 0) return spec;
  const networks = Object.entries(spec.networks ?? {}).map(([name, endpoint]) => {
    const address = addresses.get(name);
    return [name, address === undefined ? endpoint : { ...endpoint, static_ips: [address] }] as const;
  });
  const labels = [...addresses].map(([name, address]) => [pinLabel(name), address] as const);
  return {
    ...spec,
    networks: Object.fromEntries(networks),
    labels: { ...spec.labels, ...Object.fromEntries(labels) },
  };
}

/** Returns a container's namespace by the networks that it is on; empty where none belongs to a namespace. */
export function namespacesOf(
  networks: readonly PodmanNetwork[],
  { namespaces }: Pick<MeshNames, 'namespaces'>,
): (on: readonly string[]) => string {
  const byNetwork = [...networkNamespaces(namespaces, networks, namespaceLabel)];
  return on => byNetwork.find(([network]) => on.includes(network))?.[1] ?? '';
}
