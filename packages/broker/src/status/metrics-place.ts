import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { isLoopback } from '@coold/runtime';

const wireguardInterface = 'wg0';

/** By the name of the interface. */
type Interfaces = NodeJS.Dict<readonly Pick<NetworkInterfaceInfo, 'address'>[]>;

/**
 * Returns why metrics may not be served on an address: it belongs neither to loopback nor, at this moment, to the mesh's
 * interface, and no token would keep others out (docs/contract.md §3). Undefined: they may.
 *
 * @param read fails when the unit's sandbox has no netlink
 */
export function refuseMetricsPlace(
  host: string,
  read: () => Interfaces = networkInterfaces,
): string | undefined {
  if (isLoopback(host)) return undefined;
  let ofMesh: Interfaces[string];
  try {
    ofMesh = read()[wireguardInterface];
  } catch (error) {
    return `BROKER_METRICS_BIND: the addresses of ${wireguardInterface} cannot be read, so only an address of loopback may be used: ${(error as Error).message}`;
  }
  if (ofMesh?.some(({ address }) => address === host)) return undefined;
  return `BROKER_METRICS_BIND: ${host} is not an address of loopback, and not of ${wireguardInterface} now`;
}
