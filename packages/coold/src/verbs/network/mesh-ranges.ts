import { networkInterfaces } from 'node:os';
import { type Cidr, covers, outermost, without } from '../../firewall/rule/cidr.ts';
import { readDesiredScaffold } from '../../firewall/scaffold/desired-scaffold.ts';
import type { Claim } from './subnet-claims.ts';

/**
 * Where the mesh is, according to mesh.env, which is valid also while WireGuard is down and there are no routes to
 * other hosts.
 */
export interface MeshRanges {
  /** The networks of other hosts' containers: the pools without this host's part. */
  elsewhere: readonly Cidr[];
  /** The networks of the hosts' own mesh addresses. */
  hosts: readonly Cidr[];
  /** Addresses of this host on interfaces other than WireGuard's, which may be in those networks. */
  own: readonly string[];
}

/** For a permissive host, which knows only itself. */
export const noRanges: MeshRanges = { elsewhere: [], hosts: [], own: [] };

/**
 * Reads the ranges. Never rejects: problems of the file are reported elsewhere.
 *
 * @param meshEnv path of mesh.env
 * @param slice the part of the pools for this host's app networks
 */
export async function readMeshRanges(meshEnv: string, slice: Cidr | undefined): Promise<MeshRanges> {
  const desired = await readDesiredScaffold(meshEnv);
  if (desired.kind !== 'named') return noRanges;
  const { pools, subnets, mgmtNetworks, wgInterface } = desired.scaffold;
  const own = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    name === wgInterface ? [] : addresses.map(({ address }) => address),
  );
  const ofHere = [...subnets, ...(slice === undefined ? [] : [slice])];
  return { elsewhere: outermost(pools).flatMap(pool => without(pool, ofHere)), hosts: mgmtNetworks, own };
}

/** Returns what no network of this host may overlap. Pure. */
export function rangeClaims({ elsewhere, hosts }: MeshRanges): Claim[] {
  return [
    ...elsewhere.map(network => ({ network, holder: 'the pools of the mesh (COOLD_SCAFFOLD_POOLS)' })),
    ...hosts.map(network => ({ network, holder: 'the mesh (COOLD_SCAFFOLD_MGMT_NETWORKS)' })),
  ];
}

/** Whether an address belongs to another host of the mesh or to its containers. Pure. */
export function isOfOtherHost(address: string, { elsewhere, hosts, own }: MeshRanges): boolean {
  const isIn = (network: Cidr) => covers(network, `${address}/32`);
  return elsewhere.some(isIn) || (hosts.some(isIn) && !own.includes(address));
}
