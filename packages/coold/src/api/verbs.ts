import type { Logger } from '@coold/runtime';
import type { Podman } from '../podman/client.ts';
import { createEndProgram } from '../processes/end-program.ts';
import { createProcessTable } from '../processes/process-table.ts';
import { containerOutputHandlers } from './container-output.ts';
import { type ContainerPolicy, containerHandlers } from './containers.ts';
import { type FirewallVerbs, firewallHandlers, ruledAddresses } from './firewall.ts';
import type { Handler } from './handler.ts';
import { hostHandlers } from './host.ts';
import { imageHandlers } from './images.ts';
import { createJoined } from './joined.ts';
import { mountSources } from './mount-sources.ts';
import type { NamespaceNetworks } from './namespace-networks.ts';
import type { MeshNames } from './network-dns.ts';
import { networkHandlers } from './networks.ts';
import { createAddressPins } from './pin-addresses.ts';
import { hostClaims } from './subnet-claims.ts';
import { volumeHandlers } from './volumes.ts';

/** The handlers that need nothing but this host and its Podman, by the name of their verb. */
export function verbHandlers(
  podman: Podman,
  options: {
    version: string;
    allowedMountSources: readonly string[];
    mesh: MeshNames;
    /** Ports of this host that serve the mesh. */
    hostPorts: ContainerPolicy['hostPorts'];
    /** What discovery knows of the containers. */
    known: ContainerPolicy['known'];
    firewall: FirewallVerbs;
    namespaceNetworks: NamespaceNetworks;
    log: Logger;
  },
): Record<string, Handler> {
  const joined = createJoined();
  const { mesh, hostPorts, known } = options;
  const pins = createAddressPins({
    holders: signal => podman.addressHolders(signal),
    ruled: () => ruledAddresses(options.firewall.store),
  });
  const sources = mountSources(options.allowedMountSources);
  return {
    ...containerHandlers(podman, joined, { sources, mesh, pins, hostPorts, known }),
    ...containerOutputHandlers(podman.containers, createEndProgram(createProcessTable(), options.log)),
    ...imageHandlers(podman.images, joined),
    ...volumeHandlers(podman.volumes, joined),
    ...networkHandlers(podman.networks, options.namespaceNetworks, joined, { hostClaims, mesh }),
    ...firewallHandlers(options.firewall),
    ...hostHandlers(podman.host, options.version),
  };
}
