import type { Logger } from '@coold/runtime';
import type { Handler } from '../handler.ts';
import type { Podman } from '../podman/client.ts';
import { createEndProgram } from '../processes/end-program.ts';
import { createProcessTable } from '../processes/process-table.ts';
import { createCoalescer } from './coalesce.ts';
import { containerOutputHandlers } from './container/container-output.ts';
import { mountSources } from './container/mount-sources.ts';
import { createAddressPins } from './container/pin-addresses.ts';
import { type ContainerPolicy, containerHandlers } from './containers.ts';
import { type FirewallVerbs, firewallHandlers, ruledAddresses } from './firewall.ts';
import { hostHandlers } from './host.ts';
import { imageHandlers } from './images.ts';
import { rangeClaims } from './network/mesh-ranges.ts';
import type { NamespaceNetworks } from './network/namespace-networks.ts';
import type { MeshNames } from './network/network-dns.ts';
import { hostClaims } from './network/subnet-claims.ts';
import { type NetworkPolicy, networkHandlers } from './networks.ts';
import { volumeHandlers } from './volumes.ts';

/** Returns the handlers that need only this host and its Podman, by verb name. */
export function verbHandlers(
  podman: Podman,
  options: {
    version: string;
    allowedMountSources: readonly string[];
    mesh: MeshNames;
    /** Returns the ports of this host that serve the mesh. */
    hostPorts: ContainerPolicy['hostPorts'];
    /** Returns where the rest of the mesh is. */
    meshRanges: ContainerPolicy['meshRanges'];
    /** What discovery knows of the containers. */
    known: ContainerPolicy['known'];
    /** The mesh's slices for app networks. */
    slices: NetworkPolicy['slices'];
    firewall: FirewallVerbs;
    namespaceNetworks: NamespaceNetworks;
    log: Logger;
  },
): Record<string, Handler> {
  const coalescer = createCoalescer();
  const { mesh, hostPorts, meshRanges, known, slices } = options;
  const pins = createAddressPins({
    holders: signal => podman.addressHolders(signal),
    ruled: () => ruledAddresses(options.firewall.store),
  });
  const sources = mountSources(options.allowedMountSources);
  return {
    ...containerHandlers(podman, coalescer, { sources, mesh, pins, hostPorts, meshRanges, known }),
    ...containerOutputHandlers(podman.containers, createEndProgram(createProcessTable(), options.log)),
    ...imageHandlers(podman.images, coalescer),
    ...volumeHandlers(podman.volumes, coalescer),
    ...networkHandlers(podman.networks, options.namespaceNetworks, coalescer, {
      mesh,
      slices,
      hostClaims: async signal => [...(await hostClaims(signal)), ...rangeClaims(await meshRanges())],
    }),
    ...firewallHandlers(options.firewall),
    ...hostHandlers(podman.host, options.version),
  };
}
