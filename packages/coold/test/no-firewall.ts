import { createLogger } from '@coold/runtime/logger';
import { createFirewall } from '../src/firewall/firewall.ts';
import type { PodmanNetworks } from '../src/podman/networks.ts';
import type { ContainerPolicy } from '../src/verbs/containers.ts';
import type { FirewallVerbs } from '../src/verbs/firewall.ts';
import { noRanges } from '../src/verbs/network/mesh-ranges.ts';
import { createNamespaceNetworks, type NamespaceNetworks } from '../src/verbs/network/namespace-networks.ts';
import type { NetworkPolicy } from '../src/verbs/networks.ts';

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
  store: Object.assign(store, { whenRead: () => Promise.resolve(), rules: () => [] }),
  hookRepairs: () => 0,
  denyRepairs: () => 0,
  knownAddresses: () => undefined,
  uselessBecause: () => Promise.resolve(undefined),
};

/** For tests of other things than slices: a mesh whose networks of apps are local to their hosts. */
export const noSlices: NetworkPolicy['slices'] = { own: undefined, others: () => [] };

/** For tests of containers: a host that serves nothing, and whose discovery has not begun. */
export const unserved: Pick<ContainerPolicy, 'hostPorts' | 'meshRanges' | 'known'> &
  Pick<NetworkPolicy, 'slices'> = {
  slices: noSlices,
  hostPorts: () => Promise.resolve([]),
  meshRanges: () => Promise.resolve(noRanges),
  known: { facts: () => undefined },
};

/** And networks of namespaces that no default deny hears of. */
export const undenied = (networks: PodmanNetworks): NamespaceNetworks =>
  createNamespaceNetworks(networks, { keep: () => Promise.resolve() }, off);
