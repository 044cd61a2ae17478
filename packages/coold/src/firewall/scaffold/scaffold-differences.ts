import { dirname, join } from 'node:path';
import type { Namespace } from '../../discovery/namespaces.ts';
import type { Scaffold } from '../deny/scaffold.ts';
import { type Cidr, covers, overlap } from '../rule/cidr.ts';
import type { DenyState } from './deny-state.ts';
import type { DesiredScaffold } from './desired-scaffold.ts';
import { joinedFileName } from './joined-file.ts';

/** Settings of coold.env that the scaffold has as well. */
export interface OwnSettings {
  hostMgmtIp: string;
  chainName: string;
  rulesPath: string;
  namespaces: readonly Namespace[];
  /** This host's slice for app networks. */
  networkPool: Cidr | undefined;
  /** The slices of other hosts, as the mesh reports them. */
  otherPools: readonly { hostMgmtIp: string; pool: Cidr }[];
}

export interface Differences {
  /** Why an allow rule would have no effect at all; undefined when it would have one. */
  useless: string | undefined;
  /** Every difference, one sentence each. */
  all: string[];
}

/** An address of this host, as the system reports it. */
export interface HostAddress {
  interface: string;
  address: string;
}

/**
 * Returns addresses of this host that lie in the mesh's container pools and belong to an interface outside the mesh.
 * The guard drops packets that arrive from there, because they look like mesh packets on the wrong interface. Pure.
 *
 * @param links the bridges that containers send through
 */
export function strayAddresses(
  { pools, subnets, wgInterface }: Pick<Scaffold, 'pools' | 'subnets' | 'wgInterface'>,
  links: readonly string[],
  addresses: readonly HostAddress[],
): string[] {
  const ours = ['lo', wgInterface, ...links];
  return addresses
    .filter(({ interface: name, address }) => !ours.includes(name) && isIn([...pools, ...subnets], address))
    .map(
      ({ interface: name, address }) =>
        `${address} of ${name} lies in COOLD_SCAFFOLD_POOLS: what comes by ${name} from addresses of the pools is dropped; pools must hold nothing but containers`,
    );
}

/**
 * Returns how coold.env differs from mesh.env, which configures the scaffold: both files have to say the same. Pure.
 *
 * @param joined subnets that are denied in addition to the configured ones
 */
export function scaffoldDifferences(
  desired: DesiredScaffold,
  own: OwnSettings,
  joined: readonly Cidr[],
): Differences {
  if (desired.kind === 'none') return { useless: undefined, all: [] };
  if (desired.kind === 'unusable')
    return { useless: undefined, all: [`the scaffold is not known: ${desired.why}`] };
  const { chainName, subnets, pools, mgmtNetworks, joinedPath } = desired.scaffold;
  const useless =
    chainName === own.chainName
      ? undefined
      : `COOLD_CHAIN_NAME is ${own.chainName} and the scaffold's COOLD_SCAFFOLD_CHAIN_NAME is ${chainName}: an allow rule opens nothing until both name one chain`;
  const denied = [...subnets, ...joined];
  const open = own.namespaces.filter(({ gateway }) => gateway !== '0.0.0.0' && !isIn(denied, gateway));
  const ownJoined = join(dirname(own.rulesPath), joinedFileName);
  return {
    useless,
    all: [
      ...(useless === undefined ? [] : [useless]),
      ...open.map(
        ({ name, network, gateway }) =>
          `network ${network} of namespace ${name} (gateway ${gateway}) is in none of COOLD_SCAFFOLD_SUBNETS: the default deny does not cover it`,
      ),
      ...poolDifferences(own, { subnets, pools, mgmtNetworks }),
      ...own.otherPools
        .filter(({ pool }) => !pools.some(network => covers(network, pool)))
        .map(
          ({ hostMgmtIp, pool }) =>
            `COOLD_NETWORK_POOL ${pool} of host ${hostMgmtIp} is in none of COOLD_SCAFFOLD_POOLS here: ${unguarded}`,
        ),
      ...(isIn(mgmtNetworks, own.hostMgmtIp)
        ? []
        : [
            `COOLD_HOST_MGMT_IP ${own.hostMgmtIp} is in none of COOLD_SCAFFOLD_MGMT_NETWORKS: what comes by another interface than the mesh reaches it`,
          ]),
      ...(joinedPath === ownJoined
        ? []
        : [
            `coold keeps joined subnets in ${ownJoined} and COOLD_SCAFFOLD_JOINED_PATH is ${joinedPath}: a reboot forgets them`,
          ]),
    ],
  };
}

/** What is not known as a container address. */
const unguarded = 'its containers are taken for other machines, which may reach this host';

/** Returns how the slice for app networks conflicts with the scaffold's configuration. */
function poolDifferences(
  { networkPool: pool, namespaces }: OwnSettings,
  { subnets, pools, mgmtNetworks }: Pick<Scaffold, 'subnets' | 'pools' | 'mgmtNetworks'>,
): string[] {
  if (pool === undefined) return [];
  const gateways = namespaces.map(({ gateway }) => gateway);
  const taken = subnets.find(subnet => overlap(subnet, pool) && gateways.some(one => isIn([subnet], one)));
  const mgmt = mgmtNetworks.find(network => overlap(network, pool));
  return [
    ...(pools.some(network => covers(network, pool))
      ? []
      : [`COOLD_NETWORK_POOL ${pool} is in none of COOLD_SCAFFOLD_POOLS: ${unguarded}`]),
    ...(taken === undefined
      ? []
      : [
          `COOLD_NETWORK_POOL ${pool} overlaps with ${taken} of COOLD_SCAFFOLD_SUBNETS, a namespace's own network`,
        ]),
    ...(mgmt === undefined
      ? []
      : [
          `COOLD_NETWORK_POOL ${pool} overlaps with ${mgmt} of COOLD_SCAFFOLD_MGMT_NETWORKS, where hosts are`,
        ]),
  ];
}

/** Describes the networks that the kernel denies although mesh.env does not name them, a sentence each. Pure. */
export function deniedButNotNamed(deny: DenyState): string[] {
  const beyond = deny.kind === 'in place' ? (deny.beyond ?? []) : [];
  return beyond.map(
    network =>
      `${network} is denied and mesh.env does not name it any more: \`systemctl restart coolify-mesh-fw\` opens it, naming it again keeps it denied after a reboot`,
  );
}

const isIn = (networks: readonly Cidr[], address: string) =>
  networks.some(network => covers(network, `${address}/32`));
