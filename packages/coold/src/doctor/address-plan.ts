import { type Finding, fail, ok, warn } from '@coold/runtime';
import { type Cidr, overlap } from '../firewall/rule/cidr.ts';
import type { DesiredScaffold } from '../firewall/scaffold/desired-scaffold.ts';
import type { HostNetwork } from '../verbs/network/subnet-claims.ts';

/** The planned networks, each with the setting that names it. */
interface Planned {
  network: Cidr;
  setting: string;
}

export interface AddressPlan {
  desired: DesiredScaffold;
  /** This host's slice for app networks. */
  networkPool: Cidr | undefined;
  /** Routes and interfaces of this host. */
  networks: readonly HostNetwork[];
  /** Interfaces of the mesh and its containers. */
  links: readonly string[];
  /** How coold.env and mesh.env differ, one sentence each. */
  differences: readonly string[];
}

/** Checks whether the mesh's addresses are used by nothing else on this host. Pure. */
export function judgeAddressPlan(plan: AddressPlan): Finding[] {
  const { desired, networkPool, networks, links, differences } = plan;
  if (desired.kind === 'unusable')
    return [fail(desired.why, 'correct mesh.env; nothing is denied until then')];
  const slice = networkPool === undefined ? [] : [{ network: networkPool, setting: 'COOLD_NETWORK_POOL' }];
  const planned: Planned[] =
    desired.kind === 'none'
      ? slice
      : [
          ...desired.scaffold.pools.map(network => ({ network, setting: 'COOLD_SCAFFOLD_POOLS' })),
          ...desired.scaffold.mgmtNetworks.map(network => ({
            network,
            setting: 'COOLD_SCAFFOLD_MGMT_NETWORKS',
          })),
          ...slice,
        ];
  if (planned.length === 0)
    return [ok('not asked: neither mesh.env nor coold.env names networks of the mesh')];
  const own = ['lo', ...links, ...(desired.kind === 'named' ? [desired.scaffold.wgInterface] : [])];
  const foreign = networks.filter(({ device }) => device === undefined || !own.includes(device));
  const collisions = planned.flatMap(({ network, setting }) =>
    foreign
      .filter(taken => overlap(taken.network, network))
      .map(taken => ({ ...taken, setting, planned: network })),
  );
  const findings = [
    ...collisions.map(({ network, kind, device, setting, planned: of }) =>
      fail(
        `${of} of ${setting} shares addresses with ${kind === 'interface' ? 'the network' : 'the route'} ${network} of ${device ?? 'no interface'}`,
        'give the mesh other networks, or take that route out: packets for containers of other hosts would take it',
      ),
    ),
    ...differences.map(difference =>
      fail(difference, 'make coold.env and mesh.env agree, then `systemctl restart coolify-mesh-fw coold`'),
    ),
  ];
  if (findings.length > 0) return findings;
  return desired.kind === 'none'
    ? [
        warn(
          'mesh.env names no subnets: nothing is denied on this host',
          'set COOLD_SCAFFOLD_SUBNETS and COOLD_SCAFFOLD_POOLS there',
        ),
      ]
    : [ok(`${planned.map(({ network }) => network).join(', ')} are routed nowhere else`)];
}
