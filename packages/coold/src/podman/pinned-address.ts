import { isIPv4 } from 'node:net';

/**
 * The address that a container keeps for its life (docs/contract.md §4). Podman forgets the address of a container that
 * does not run, so the container carries it itself, as one label a network.
 */
const labelPrefix = 'io.coolify.address.';

/** The label that holds a container's address on a network. */
export function pinLabel(network: string): string {
  return `${labelPrefix}${network}`;
}

/** Whether coold alone sets labels of this name. */
export function isPinLabel(name: string): boolean {
  return name.startsWith(labelPrefix);
}

/** Returns the fixed address that was requested for a container on a network, undefined without one. */
export function pinnedAddress(labels: Record<string, string>, network: string): string | undefined {
  const address = labels[pinLabel(network)];
  return address !== undefined && isIPv4(address) ? address : undefined;
}
