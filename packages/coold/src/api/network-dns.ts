import type { PodmanNetwork } from '../podman/networks.ts';
import type { NetworkDns } from './container-spec.ts';
import { namespaceLabel } from './networks.ts';

/** The zone of every namespace (CONTRACT §6). */
const zone = 'coolify.internal';

/**
 * The resolver of a container on these networks: the gateways of those that have a namespace, where coold answers, and the
 * zone to complete names with (CONTRACT §3). Undefined where none of them is managed.
 */
export function networkDns(
  names: readonly string[],
  networks: readonly PodmanNetwork[],
): NetworkDns | undefined {
  const managed = networks.filter(
    ({ name, labels }) => names.includes(name) && (labels[namespaceLabel] ?? '') !== '',
  );
  const servers = managed
    .flatMap(({ subnets }) => subnets.map(({ gateway }) => gateway))
    // 0.0.0.0: no DNS for this one (CONTRACT §6).
    .filter(gateway => gateway !== '' && gateway !== '0.0.0.0' && !gateway.includes(':'));
  if (servers.length === 0) return undefined;
  return { servers, search: [zone] };
}
