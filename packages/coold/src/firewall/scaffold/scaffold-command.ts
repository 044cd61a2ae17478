import { absolutePath, boolean, type ConfigOf, defineCommand, integer, list } from '@coold/runtime';
import { cidr } from '../rule/cidr.ts';
import { chainName, interfaceName } from '../rule/kernel-name.ts';

/** `coold scaffold`: the default deny around the allow rules (docs/contract.md §4). */
export const scaffoldCommand = defineCommand({
  name: 'coold scaffold',
  envPrefix: 'COOLD_SCAFFOLD_',
  summary: 'prints the firewall scaffold of a mesh host, or applies it to the kernel',
  options: {
    subnets: { type: list(cidr), required: true, help: "This host's container subnets, one per namespace" },
    pools: {
      type: list(cidr),
      required: true,
      help: "The mesh's container pools, which contain every host's subnets",
    },
    mgmtNetworks: {
      type: list(cidr),
      default: '100.64.0.0/16',
      help: "Networks of the hosts' addresses on the WireGuard interface; only the mesh reaches them",
    },
    apiPorts: {
      type: list(integer(1, 65_535)),
      default: '8443',
      help: "TCP ports of REST APIs and metrics on the hosts' mesh addresses, which containers cannot reach",
    },
    wgInterface: { type: interfaceName, default: 'wg0', help: 'The WireGuard interface of the mesh' },
    chainName: {
      type: chainName,
      default: 'COOLIFY-ALLOW',
      help: "iptables chain of the allow rules; coold's COOLD_CHAIN_NAME",
    },
    joinedPath: {
      type: absolutePath,
      default: '/etc/coolify/joined.subnets',
      help: 'Subnets that networks.create added, in the file that coold keeps beside COOLD_RULES_PATH',
    },
    apply: {
      type: boolean,
      default: 'false',
      help: 'Apply it to the kernel, changing only what differs, instead of printing it',
    },
  },
  check: ({ subnets, pools }) => {
    if (subnets.length === 0) return 'COOLD_SCAFFOLD_SUBNETS names no network: expected at least one';
    if (pools.length === 0) return 'COOLD_SCAFFOLD_POOLS names no network: expected at least one';
    return undefined;
  },
});

export type ScaffoldConfig = ConfigOf<typeof scaffoldCommand>;
