import type { Podman } from '../podman/client.ts';
import { containerOutputHandlers } from './container-output.ts';
import { containerHandlers } from './containers.ts';
import { type FirewallVerbs, firewallHandlers } from './firewall.ts';
import type { Handler } from './handler.ts';
import { hostHandlers } from './host.ts';
import { imageHandlers } from './images.ts';
import { createJoined } from './joined.ts';
import { mountSources } from './mount-sources.ts';
import { networkHandlers } from './networks.ts';
import { hostClaims } from './subnet-claims.ts';
import { volumeHandlers } from './volumes.ts';

/** Every handler of coold, by the name of its verb. */
export function verbHandlers(
  podman: Podman,
  options: { version: string; allowedMountSources: readonly string[]; firewall: FirewallVerbs },
): Record<string, Handler> {
  const joined = createJoined();
  return {
    ...containerHandlers(podman, joined, mountSources(options.allowedMountSources)),
    ...containerOutputHandlers(podman.containers),
    ...imageHandlers(podman.images, joined),
    ...volumeHandlers(podman.volumes, joined),
    ...networkHandlers(podman.networks, joined, hostClaims),
    ...firewallHandlers(options.firewall),
    ...hostHandlers(podman.host, options.version),
  };
}
