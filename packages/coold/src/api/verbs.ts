import type { Logger } from '@coold/runtime';
import type { Podman } from '../podman/client.ts';
import { createEndProgram } from '../processes/end-program.ts';
import { createProcessTable } from '../processes/process-table.ts';
import { containerOutputHandlers } from './container-output.ts';
import { containerHandlers } from './containers.ts';
import { type FirewallVerbs, firewallHandlers } from './firewall.ts';
import type { Handler } from './handler.ts';
import { hostHandlers } from './host.ts';
import { imageHandlers } from './images.ts';
import { createJoined } from './joined.ts';
import { mountSources } from './mount-sources.ts';
import type { NamespaceNetworks } from './namespace-networks.ts';
import type { MeshNames } from './network-dns.ts';
import { networkHandlers } from './networks.ts';
import { hostClaims } from './subnet-claims.ts';
import { volumeHandlers } from './volumes.ts';

/** The handlers that need nothing but this host and its Podman, by the name of their verb. */
export function verbHandlers(
  podman: Podman,
  options: {
    version: string;
    allowedMountSources: readonly string[];
    mesh: MeshNames;
    firewall: FirewallVerbs;
    namespaceNetworks: NamespaceNetworks;
    log: Logger;
  },
): Record<string, Handler> {
  const joined = createJoined();
  return {
    ...containerHandlers(podman, joined, mountSources(options.allowedMountSources), options.mesh),
    ...containerOutputHandlers(podman.containers, createEndProgram(createProcessTable(), options.log)),
    ...imageHandlers(podman.images, joined),
    ...volumeHandlers(podman.volumes, joined),
    ...networkHandlers(podman.networks, options.namespaceNetworks, joined, hostClaims),
    ...firewallHandlers(options.firewall),
    ...hostHandlers(podman.host, options.version),
  };
}
