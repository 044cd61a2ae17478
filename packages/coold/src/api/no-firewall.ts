import { createLogger } from '@coold/runtime';
import { createFirewall } from '../firewall/firewall.ts';
import type { PodmanNetworks } from '../podman/networks.ts';
import type { FirewallVerbs } from './firewall.ts';
import { createNamespaceNetworks, type NamespaceNetworks } from './namespace-networks.ts';

const off = createLogger('coold', { level: 'off', components: new Map() }, false);

/** For tests of other verbs: a firewall that is never started, and so touches nothing. */
export const noFirewall: FirewallVerbs = {
  ...createFirewall({
    chain: 'COOLIFY-ALLOW',
    rulesPath: '/nonexistent/allow.rules',
    bridgeRulesPath: '/nonexistent/allow.nft',
    meshEnv: '/nonexistent/mesh.env',
    log: off,
  }),
  hookRepairs: () => 0,
  denyRepairs: () => 0,
  knownAddresses: () => undefined,
  uselessBecause: () => Promise.resolve(undefined),
};

/** And networks of namespaces that no default deny hears of. */
export const undenied = (networks: PodmanNetworks): NamespaceNetworks =>
  createNamespaceNetworks(networks, { keep: () => Promise.resolve() }, off);
