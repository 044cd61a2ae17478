import { dirname, join } from 'node:path';
import type { Namespace } from '../discovery/namespaces.ts';
import { type Cidr, covers } from './cidr.ts';
import type { DesiredScaffold } from './desired-scaffold.ts';
import { joinedFileName } from './joined-file.ts';

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

const isIn = (networks: readonly Cidr[], address: string) =>
  networks.some(network => covers(network, `${address}/32`));
