import { VerbError } from '@coold/errors';
import {
  type NetworksCreateRequest,
  NetworksCreateRequestSchema,
  NetworksCreateResponseSchema,
  NetworksDeleteRequestSchema,
  NetworksDeleteResponseSchema,
  NetworksListRequestSchema,
  NetworksListResponseSchema,
} from '@coold/proto';
import type { HostPool } from '../discovery/hosts/host-pools.ts';
import { privateRanges } from '../discovery/hosts/network-pool.ts';
import { type Cidr, cidr, covers, endsOf, overlap } from '../firewall/rule/cidr.ts';
import { type Handler, handler } from '../handler.ts';
import { PodmanStatusError } from '../podman/failure.ts';
import type { NetworkSpec, PodmanNetwork, PodmanNetworks } from '../podman/networks.ts';
import type { Coalescer } from './coalesce.ts';
import { checkIpv4, checkLabels, checkName, checkNamespace, invalid } from './names.ts';
import { freeInSlice, freeSubnet } from './network/free-subnet.ts';
import { type NamespaceNetworks, namespaceLabel, type PlacedNetwork } from './network/namespace-networks.ts';
import type { MeshNames } from './network/network-dns.ts';
import { type Claim, collision } from './network/subnet-claims.ts';

/** Bridge options that do not affect the rest of the host. */
const knownOptions = new Set(['mtu', 'metric', 'vlan', 'isolate']);

type Subnet = NonNullable<NetworkSpec['subnet']>;

/** `coolify init` removes networks of a namespace that lack its labels. */
const managedLabel = 'io.coolify.managed';
const initNamespaceLabel = 'io.coolify.namespace';
const ownLabels = [namespaceLabel, managedLabel, initNamespaceLabel];

/** The most holders of a slice that an error names. */
const maxNamed = 5;

/** Attempts to choose a subnet while others are creating networks. */
const maxTries = 5;

/** What networks of this host have to respect. */
export interface NetworkPolicy {
  /** Returns what this host's interfaces and routes already use. */
  hostClaims(signal: AbortSignal): Promise<Claim[]>;
  mesh: Pick<MeshNames, 'namespaces'>;
  slices: {
    /** The range for namespaces' networks on this host; undefined when such networks are local to it. */
    own: Cidr | undefined;
    /** Returns the ranges of other hosts. */
    others(): readonly HostPool[];
  };
}

/** The network verbs. */
export function networkHandlers(
  networks: PodmanNetworks,
  ofNamespaces: NamespaceNetworks,
  coalescer: Coalescer,
  { hostClaims, mesh, slices }: NetworkPolicy,
): Record<string, Handler> {
  const describe = (network: PodmanNetwork) => describeNetwork(network, mesh);
  /**
   * Chooses where the network will be. Podman would choose a subnet too late to deny it, and without considering the
   * mesh.
   *
   * @throws VerbError 409 when its name or its subnet is in use
   */
  async function place(spec: NetworkSpec, signal: AbortSignal): Promise<PlacedNetwork> {
    const [existing, claims] = await Promise.all([networks.list(signal), hostClaims(signal)]);
    // Checked before the subnet: a repeated network collides with itself, and that message would mislead.
    if (existing.some(({ name }) => name === spec.name))
      throw new VerbError('name_taken', `network ${spec.name} already exists`, { field: 'name' });
    const taken = [...existing.flatMap(claimsOf), ...claims, ...slices.others().map(claimOfHost)];
    const { own } = slices;
    const inOwn = own === undefined ? taken : taken.filter(claim => !leavesFree(claim, own));
    const { subnet: asked } = spec;
    if (asked !== undefined) {
      const isInOwn = own !== undefined && covers(own, asked.subnet);
      return { ...spec, subnet: checkFree(asked, isInOwn ? inOwn : taken) };
    }
    const isOfNamespace = (spec.labels[namespaceLabel] ?? '') !== '';
    const subnet = isOfNamespace && own !== undefined ? subnetOfSlice(own, inOwn) : localSubnet(own, taken);
    return { ...spec, subnet: { subnet, gateway: undefined } };
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
        // The work continues when the caller leaves, so that it is not half done.
        const network = await coalescer.run(
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
        await coalescer.run(`networks.delete ${name}`, signal, unattended =>
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

/** Tries again when others have taken the subnet that was free. */
async function untilFree(spec: NetworkSpec, make: () => Promise<PodmanNetwork>): Promise<PodmanNetwork> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await make();
    } catch (error) {
      if (spec.subnet !== undefined || tries === maxTries || !isTaken(error)) throw error;
    }
  }
}

/** @throws VerbError 409 naming the claim that it collides with */
function checkFree(asked: Subnet, claims: readonly Claim[]): Subnet {
  const hit = collision(asked.subnet, claims);
  if (hit === undefined) return asked;
  const message = `subnet ${asked.subnet} collides with ${hit.network} of ${hit.holder}`;
  throw new VerbError('subnet_taken', message, { field: 'subnet' });
}

/**
 * Chooses a free subnet that is valid on this host only: outside its slice, because other hosts send packets for the
 * slice here.
 *
 * @throws VerbError 409
 */
function localSubnet(slice: Cidr | undefined, claims: readonly Claim[]): Cidr {
  const own = slice === undefined ? [] : [{ network: slice, holder: 'COOLD_NETWORK_POOL of this host' }];
  const subnet = freeSubnet([...claims, ...own]);
  if (subnet !== undefined) return subnet;
  throw new VerbError('subnet_taken', 'subnet: no free one is left', { field: 'subnet' });
}

/** Returns the next free subnet of this host's slice. @throws VerbError 409 naming who uses them */
function subnetOfSlice(slice: Cidr, claims: readonly Claim[]): Cidr {
  const subnet = freeInSlice(slice, claims);
  if (subnet !== undefined) return subnet;
  const taken = claims.filter(({ network }) => overlap(network, slice));
  // Another host's slice is named first: that is a configuration mistake, and not a matter of how many networks there
  // are.
  const holders = [
    ...new Set([...taken.filter(({ kind }) => kind === 'slice'), ...taken].map(({ holder }) => holder)),
  ];
  const named = holders.slice(0, maxNamed).join(', ');
  const more = holders.length > maxNamed ? ` and ${holders.length - maxNamed} more` : '';
  throw new VerbError(
    'subnet_taken',
    `subnet: COOLD_NETWORK_POOL ${slice} of this host has no free one; it is taken by ${named}${more}`,
    { field: 'subnet' },
  );
}

/** A route wider than the slice leads to a hub or nowhere; a network of this host takes precedence over it. */
function leavesFree({ network, kind }: Claim, slice: Cidr): boolean {
  return kind === 'route' && covers(network, slice) && !covers(slice, network);
}

function claimOfHost({ hostMgmtIp, pool }: HostPool): Claim {
  return { network: pool, holder: `COOLD_NETWORK_POOL of host ${hostMgmtIp}`, kind: 'slice' };
}

/** Whether Podman gave the subnet to another network after it was found free. */
function isTaken(error: unknown): boolean {
  return (
    error instanceof VerbError &&
    error.cause instanceof PodmanStatusError &&
    /is already used on the host or by another config$/.test(error.cause.reason)
  );
}

function readSpec(request: NetworksCreateRequest, mesh: NetworkPolicy['mesh']): NetworkSpec {
  const { driver, namespace, options } = request;
  // Other drivers put a container on the host's own network segment, past all our rules.
  if (driver !== '' && driver !== 'bridge') throw invalid('driver', 'expected "bridge"');
  const unknown = Object.keys(options).find(key => !knownOptions.has(key));
  if (unknown !== undefined)
    throw invalid(`options.${unknown}`, `expected one of ${[...knownOptions].join(', ')}`);
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
  if (endsOf(subnet).includes(gateway)) throw invalid('gateway', `is not an address for hosts in ${subnet}`);
  return { ...spec, subnet: { subnet, gateway } };
}

/** @throws VerbError 400 for a namespace that this host does not serve: its containers would have neither DNS nor deny */
function labelsOf(given: string, { namespaces }: NetworkPolicy['mesh']): Record<string, string> {
  const namespace = checkNamespace(given, 'namespace');
  if (!namespaces.some(({ name }) => name === namespace))
    throw invalid('namespace', 'is not in COOLD_NAMESPACES, so nothing would serve it');
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
    // A namespace's main network is created during the host's set-up and need not have a label.
    namespace: namespaces.find(({ network }) => network === name)?.name ?? labels[namespaceLabel] ?? '',
    driver,
    subnet: ipv4?.subnet ?? '',
    gateway: ipv4?.gateway ?? '',
    labels,
  };
}
