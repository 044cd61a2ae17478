import { dirname, join } from 'node:path';
import type { Namespace } from '../discovery/namespaces.ts';
import { type Cidr, covers } from './cidr.ts';
import type { DenyState } from './deny-state.ts';
import type { DesiredScaffold } from './desired-scaffold.ts';
import { joinedFileName } from './joined-file.ts';
import type { Scaffold } from './scaffold.ts';

/** What coold.env says of things that the scaffold was told, too. */
export interface OwnSettings {
  hostMgmtIp: string;
  chainName: string;
  rulesPath: string;
  namespaces: readonly Namespace[];
}

export interface Differences {
  /** Why an allow rule would open nothing at all; undefined: it would. */
  useless: string | undefined;
  /** Everything that differs, one sentence each. */
  all: string[];
}

/** An address of this host, as the system tells it. */
export interface HostAddress {
  interface: string;
  address: string;
}

/**
 * Addresses of this host that lie in the mesh's container pools and on an interface that is not the mesh's: the guard takes
 * what comes by it from there for packets of the mesh that lost their way, and drops them. Pure.
 *
 * @param links bridges that containers send by
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
 * How coold.env differs from mesh.env, which the scaffold is made of: two files that have to say the same. Pure.
 *
 * @param joined subnets that are denied beside the configured ones
 */
export function scaffoldDifferences(
  desired: DesiredScaffold,
  own: OwnSettings,
  joined: readonly Cidr[],
): Differences {
  if (desired.kind === 'none') return { useless: undefined, all: [] };
  if (desired.kind === 'unusable')
    return { useless: undefined, all: [`the scaffold is not known: ${desired.why}`] };
  const { chainName, subnets, mgmtNetworks, joinedPath } = desired.scaffold;
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
          `network ${network} of namespace ${name} (gateway ${gateway}) is in none of COOLD_SCAFFOLD_SUBNETS: the default deny does not know it`,
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

/** Networks that the kernel denies and mesh.env does not name: a sentence each. Pure. */
export function deniedButNotNamed(deny: DenyState): string[] {
  const beyond = deny.kind === 'in place' ? (deny.beyond ?? []) : [];
  return beyond.map(
    network =>
      `${network} is denied and mesh.env does not name it any more: \`systemctl restart coolify-mesh-fw\` opens it, naming it again keeps it denied after a reboot`,
  );
}

const isIn = (networks: readonly Cidr[], address: string) =>
  networks.some(network => covers(network, `${address}/32`));
