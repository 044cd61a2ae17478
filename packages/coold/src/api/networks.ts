import {
  type NetworksCreateRequest,
  NetworksCreateRequestSchema,
  NetworksCreateResponseSchema,
  NetworksDeleteRequestSchema,
  NetworksDeleteResponseSchema,
  NetworksListRequestSchema,
  NetworksListResponseSchema,
} from '@coold/proto';
import { cidr, covers } from '../firewall/cidr.ts';
import type { NetworkSpec, PodmanNetwork, PodmanNetworks } from '../podman/networks.ts';
import { type Handler, handler } from './handler.ts';
import type { Joined } from './joined.ts';
import { checkIpv4, checkLabels, checkName, checkNamespace, invalid } from './names.ts';
import { type NamespaceNetworks, namespaceLabel, type PlacedNetwork } from './namespace-networks.ts';
import { type Claim, collision, freeSubnet } from './subnet-claims.ts';
import { VerbError } from './verb-error.ts';

/** The bridge options that say nothing about the rest of the host. */
const knownOptions = new Set(['mtu', 'metric', 'vlan', 'isolate']);

/** The network verbs. @param hostClaims what this host's interfaces and routes already use */
export function networkHandlers(
  networks: PodmanNetworks,
  ofNamespaces: NamespaceNetworks,
  joined: Joined,
  hostClaims: (signal: AbortSignal) => Promise<Claim[]>,
): Record<string, Handler> {
  /** Subnets that are taken. @throws VerbError 409 when the name is, too */
  async function taken(name: string, signal: AbortSignal): Promise<Claim[]> {
    const [existing, claims] = await Promise.all([networks.list(signal), hostClaims(signal)]);
    // Before its subnet: a network that is repeated collides with itself, which helps nobody.
    if (existing.some(network => network.name === name))
      throw new VerbError(409, `network ${name} already exists`, { field: 'name' });
    return [...existing.flatMap(claimsOf), ...claims];
  }

  async function checkSubnet({ name, subnet: wanted }: NetworkSpec, signal: AbortSignal): Promise<void> {
    if (wanted === undefined) return;
    const { subnet } = wanted;
    const hit = collision(subnet, await taken(name, signal));
    if (hit === undefined) return;
    const message = `subnet ${subnet} collides with ${hit.network} of ${hit.holder}`;
    throw new VerbError(409, message, { field: 'subnet' });
  }

  /** Podman would choose one only when it is too late to deny it. */
  async function withSubnet(spec: NetworkSpec, signal: AbortSignal): Promise<PlacedNetwork> {
    const { subnet } = spec;
    if (subnet === undefined)
      return { ...spec, subnet: { subnet: freeSubnet(await taken(spec.name, signal)), gateway: undefined } };
    await checkSubnet(spec, signal);
    return { ...spec, subnet };
  }

  return {
    'networks.create': handler(
      NetworksCreateRequestSchema,
      NetworksCreateResponseSchema,
      async (request, signal) => {
        const spec = readSpec(request);
        if (request.namespace === '') {
          await checkSubnet(spec, signal);
          return { network: describe(await networks.create(spec, signal)) };
        }
        // A caller who leaves must not leave half of it behind.
        const network = await joined.run(
          `networks.create ${JSON.stringify(spec)}`,
          signal,
          unattended => ofNamespaces.create(() => withSubnet(spec, unattended), unattended),
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

function readSpec(request: NetworksCreateRequest): NetworkSpec {
  const { driver, namespace, options } = request;
  // Others put a container on the host's own network segment, past every rule of ours.
  if (driver !== '' && driver !== 'bridge') throw invalid('driver', 'expected "bridge"');
  const unknown = Object.keys(options).find(key => !knownOptions.has(key));
  if (unknown !== undefined)
    throw invalid(`options.${unknown}`, `is none of ${[...knownOptions].join(', ')}`);
  const labels = checkLabels(request.labels, 'labels');
  if (namespaceLabel in labels) throw invalid(`labels.${namespaceLabel}`, 'is what "namespace" sets');
  const spec: NetworkSpec = {
    name: checkName(request.name, 'name'),
    driver: 'bridge',
    options,
    labels:
      namespace === '' ? labels : { ...labels, [namespaceLabel]: checkNamespace(namespace, 'namespace') },
  };
  if (request.subnet === '') {
    if (request.gateway !== '') throw invalid('gateway', 'needs a subnet to lie in');
    return spec;
  }
  const subnet = cidr.parse(request.subnet);
  if (subnet === undefined || Number(subnet.split('/')[1]) > 30)
    throw invalid('subnet', 'expected an IPv4 network such as 10.210.0.0/24 (no host bits, /8 to /30)');
  if (request.gateway === '') return { ...spec, subnet: { subnet, gateway: undefined } };
  const gateway = checkIpv4(request.gateway, 'gateway');
  if (!covers(subnet, `${gateway}/32`)) throw invalid('gateway', `expected an address in ${subnet}`);
  if (endsOf(subnet).includes(gateway)) throw invalid('gateway', `is no host's address in ${subnet}`);
  return { ...spec, subnet: { subnet, gateway } };
}

/** The address of the network itself and its broadcast address. */
function endsOf(subnet: string): [string, string] {
  const [address = '', length = ''] = subnet.split('/');
  const last =
    2 ** (32 - Number(length)) - 1 + address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return [address, [24, 16, 8, 0].map(shift => Math.floor(last / 2 ** shift) % 256).join('.')];
}

function claimsOf({ name, subnets }: PodmanNetwork): Claim[] {
  return subnets
    .filter(({ subnet }) => !subnet.includes(':'))
    .map(({ subnet }) => ({ network: subnet, holder: `network ${name}` }));
}

function describe({ name, driver, subnets, labels }: PodmanNetwork) {
  const ipv4 = subnets.find(({ subnet }) => !subnet.includes(':'));
  return {
    name,
    namespace: labels[namespaceLabel] ?? '',
    driver,
    subnet: ipv4?.subnet ?? '',
    gateway: ipv4?.gateway ?? '',
    labels,
  };
}
