import { createLogger } from '@coold/runtime';
import { createFirewall } from '../firewall/firewall.ts';
import type { PodmanNetworks } from '../podman/networks.ts';
import type { ContainerPolicy } from './containers.ts';
import type { FirewallVerbs } from './firewall.ts';
import { createNamespaceNetworks, type NamespaceNetworks } from './namespace-networks.ts';

const off = createLogger('coold', { level: 'off', components: new Map() }, false);

const { store, ...others } = createFirewall({
  chain: 'COOLIFY-ALLOW',
  rulesPath: '/nonexistent/allow.rules',
  bridgeRulesPath: '/nonexistent/allow.nft',
  meshEnv: '/nonexistent/mesh.env',
  log: off,
});

/** For tests of other verbs: a firewall that is never started, touches nothing and has no rules. */
export const noFirewall: FirewallVerbs = {
  ...others,
  store: { ...store, whenRead: () => Promise.resolve(), rules: () => [] },
  hookRepairs: () => 0,
  denyRepairs: () => 0,
  knownAddresses: () => undefined,
  uselessBecause: () => Promise.resolve(undefined),
};

/** For tests of containers: a host that serves nothing, and whose discovery has not begun. */
export const unserved: Pick<ContainerPolicy, 'hostPorts' | 'known'> = {
  hostPorts: () => Promise.resolve([]),
  known: { facts: () => undefined },
};

/** And networks of namespaces that no default deny hears of. */
export const undenied = (networks: PodmanNetworks): NamespaceNetworks =>
  createNamespaceNetworks(networks, { keep: () => Promise.resolve() }, off);
