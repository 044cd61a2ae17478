import {
  type NetworksCreateRequest,
  NetworksCreateRequestSchema,
  NetworksCreateResponseSchema,
  NetworksDeleteRequestSchema,
  NetworksDeleteResponseSchema,
  NetworksListRequestSchema,
  NetworksListResponseSchema,
} from '@coold/proto';
import { type Cidr, cidr, covers, endsOf } from '../firewall/cidr.ts';
import { PodmanStatusError } from '../podman/failure.ts';
import type { NetworkSpec, PodmanNetwork, PodmanNetworks } from '../podman/networks.ts';
import { freeSubnet } from './free-subnet.ts';
import { type Handler, handler } from './handler.ts';
import type { Joined } from './joined.ts';
import { checkIpv4, checkLabels, checkName, checkNamespace, invalid } from './names.ts';
import { type NamespaceNetworks, namespaceLabel, type PlacedNetwork } from './namespace-networks.ts';
import type { MeshNames } from './network-dns.ts';
import { type Claim, collision } from './subnet-claims.ts';
import { VerbError } from './verb-error.ts';

/** The bridge options that say nothing about the rest of the host. */
const knownOptions = new Set(['mtu', 'metric', 'vlan', 'isolate']);

/** Where a network hides no address of the Internet from this host (RFC 1918, RFC 6598). */
const privateRanges: readonly Cidr[] = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

type Subnet = NonNullable<NetworkSpec['subnet']>;

/** `coolify init` takes away networks of a namespace that lack its labels. */
const managedLabel = 'io.coolify.managed';
const initNamespaceLabel = 'io.coolify.namespace';
const ownLabels = [namespaceLabel, managedLabel, initNamespaceLabel];

/** How often a subnet is chosen, where others are making networks at the same time. */
const maxTries = 5;

/** What networks of this host have to keep to. */
export interface NetworkPolicy {
  /** What this host's interfaces and routes already use. */
  hostClaims(signal: AbortSignal): Promise<Claim[]>;
  mesh: Pick<MeshNames, 'namespaces'>;
}

/** The network verbs. */
export function networkHandlers(
  networks: PodmanNetworks,
  ofNamespaces: NamespaceNetworks,
  joined: Joined,
  { hostClaims, mesh }: NetworkPolicy,
): Record<string, Handler> {
  const describe = (network: PodmanNetwork) => describeNetwork(network, mesh);
  /**
   * Where it will lie: Podman would choose a subnet only when it is too late to deny it, and without a look at the mesh.
   *
   * @throws VerbError 409 when its name or its subnet is taken
   */
  async function place(spec: NetworkSpec, signal: AbortSignal): Promise<PlacedNetwork> {
    const [existing, claims] = await Promise.all([networks.list(signal), hostClaims(signal)]);
    // Before its subnet: a network that is repeated collides with itself, which helps nobody.
    if (existing.some(({ name }) => name === spec.name))
      throw new VerbError(409, `network ${spec.name} already exists`, { field: 'name' });
    return { ...spec, subnet: pickSubnet(spec.subnet, [...existing.flatMap(claimsOf), ...claims]) };
  }

  return {
    'networks.create': handler(
      NetworksCreateRequestSchema,
      NetworksCreateResponseSchema,
      async (request, signal) => {
        const spec = readSpec(request, mesh);
        if (request.namespace === '') {
          const make = async () => networks.create(await place(spec, signal), signal);
          return { network: describe(await untilFree(spec, make)) };
        }
        // A caller who leaves must not leave half of it behind.
        const network = await joined.run(
          `networks.create ${JSON.stringify(spec)}`,
          signal,
          unattended => untilFree(spec, () => ofNamespaces.create(() => place(spec, unattended), unattended)),
          { maxUnattended: 16 },
        );
        return { network: describe(network) };
      },
    ),
    'networks.delete': handler(
      NetworksDeleteRequestSchema,
      NetworksDeleteResponseSchema,
      async (request, signal) => {
        const name = checkName(request.name, 'name');
        await joined.run(`networks.delete ${name}`, signal, unattended =>
          ofNamespaces.remove(name, unattended),
        );
        return {};
      },
    ),
    'networks.list': handler(
      NetworksListRequestSchema,
      NetworksListResponseSchema,
      async (_request, signal) => ({ networks: (await networks.list(signal)).map(describe) }),
    ),
  };
}

/** Again, where others have taken meanwhile what was found to be free. */
async function untilFree(spec: NetworkSpec, make: () => Promise<PodmanNetwork>): Promise<PodmanNetwork> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await make();
    } catch (error) {
      if (spec.subnet !== undefined || tries === maxTries || !isTaken(error)) throw error;
    }
  }
}

/** The subnet that was asked for, or a free one. @throws VerbError 409 naming what it collides with */
function pickSubnet(asked: Subnet | undefined, claims: readonly Claim[]): Subnet {
  if (asked === undefined) {
    const subnet = freeSubnet(claims);
    if (subnet !== undefined) return { subnet, gateway: undefined };
    throw new VerbError(409, 'subnet: none is free of those that are given away', { field: 'subnet' });
  }
  const hit = collision(asked.subnet, claims);
  if (hit === undefined) return asked;
  const message = `subnet ${asked.subnet} collides with ${hit.network} of ${hit.holder}`;
  throw new VerbError(409, message, { field: 'subnet' });
}

/** Podman has given a subnet to another network since it was found to be free. */
function isTaken(error: unknown): boolean {
  return (
    error instanceof VerbError &&
    error.cause instanceof PodmanStatusError &&
    /is already used on the host or by another config$/.test(error.cause.reason)
  );
}

function readSpec(request: NetworksCreateRequest, mesh: NetworkPolicy['mesh']): NetworkSpec {
  const { driver, namespace, options } = request;
  // Others put a container on the host's own network segment, past every rule of ours.
  if (driver !== '' && driver !== 'bridge') throw invalid('driver', 'expected "bridge"');
  const unknown = Object.keys(options).find(key => !knownOptions.has(key));
  if (unknown !== undefined)
    throw invalid(`options.${unknown}`, `is none of ${[...knownOptions].join(', ')}`);
  const labels = checkLabels(request.labels, 'labels');
  const own = ownLabels.find(label => Object.hasOwn(labels, label));
  if (own !== undefined) throw invalid(`labels.${own}`, 'is what "namespace" sets');
  const spec: NetworkSpec = {
    name: checkName(request.name, 'name'),
    driver: 'bridge',
    options,
    labels: namespace === '' ? labels : { ...labels, ...labelsOf(namespace, mesh) },
  };
  if (request.subnet === '') {
    if (request.gateway !== '') throw invalid('gateway', 'needs a subnet to lie in');
    return spec;
  }
  const subnet = cidr.parse(request.subnet);
  if (subnet === undefined || Number(subnet.split('/')[1]) > 30)
    throw invalid('subnet', 'expected an IPv4 network such as 10.210.0.0/24 (no host bits, /8 to /30)');
  if (!privateRanges.some(range => covers(range, subnet)))
    throw invalid('subnet', `expected a network of a private range: ${privateRanges.join(', ')}`);
  if (request.gateway === '') return { ...spec, subnet: { subnet, gateway: undefined } };
  const gateway = checkIpv4(request.gateway, 'gateway');
  if (!covers(subnet, `${gateway}/32`)) throw invalid('gateway', `expected an address in ${subnet}`);
  if (endsOf(subnet).includes(gateway)) throw invalid('gateway', `is no host's address in ${subnet}`);
  return { ...spec, subnet: { subnet, gateway } };
}

/** @throws VerbError 400 for a namespace that this host does not serve: its containers would have no DNS and no deny */
function labelsOf(given: string, { namespaces }: NetworkPolicy['mesh']): Record<string, string> {
  const namespace = checkNamespace(given, 'namespace');
  if (!namespaces.some(({ name }) => name === namespace))
    throw invalid('namespace', 'is none of COOLD_NAMESPACES, so nothing would serve it');
  return { [namespaceLabel]: namespace, [managedLabel]: 'true', [initNamespaceLabel]: namespace };
}

function claimsOf({ name, subnets }: PodmanNetwork): Claim[] {
  return subnets
    .filter(({ subnet }) => !subnet.includes(':'))
    .map(({ subnet }) => ({ network: subnet, holder: `network ${name}` }));
}

function describeNetwork(
  { name, driver, subnets, labels }: PodmanNetwork,
  { namespaces }: NetworkPolicy['mesh'],
) {
  const ipv4 = subnets.find(({ subnet }) => !subnet.includes(':'));
  return {
    name,
    // A namespace's own network is made by whoever set the host up, and need not carry a label.
    namespace: namespaces.find(({ network }) => network === name)?.name ?? labels[namespaceLabel] ?? '',
    driver,
    subnet: ipv4?.subnet ?? '',
    gateway: ipv4?.gateway ?? '',
    labels,
  };
}
