import { isIPv4 } from 'node:net';
import { bits } from '../../firewall/rule/cidr.ts';
import type { WireguardPeer } from './host-facts.ts';

/**
 * Whether packets to an address of a host leave by the mesh, and for that host: WireGuard sends a packet to the peer
 * with the longest matching network. Pure.
 *
 * @param hostMgmtIp the host that has the address; when it is unknown, or no peer has that host, any peer with the
 * address counts
 */
export type Reach = (address: string, hostMgmtIp?: string) => boolean;

/**
 * Returns what WireGuard leads to by the peers' AllowedIPs. A default route (0.0.0.0/0) does not count: it says where
 * the Internet is, not which hosts are in the mesh. IPv6 is ignored.
 */
export function reachOf(peers: readonly Pick<WireguardPeer, 'allowedIps'>[]): Reach {
  const find = longestPrefix(
    peers.flatMap(({ allowedIps }, peer) => allowedIps.map(network => [network, peer] as const)),
  );
  return (address, hostMgmtIp) => {
    const peer = find(address);
    if (peer === undefined) return false;
    const host = hostMgmtIp === undefined ? undefined : find(hostMgmtIp);
    return host === undefined || host === peer;
  };
}

/**
 * Returns whether an address is in one of these IPv4 networks. Pure.
 *
 * @param networks other texts, and 0.0.0.0/0, do not count
 */
export function insideOf(networks: readonly string[]): (address: string) => boolean {
  const find = longestPrefix(networks.map(network => [network, 0] as const));
  return address => find(address) !== undefined;
}

/** Returns the number stored with the longest network that contains an address. */
function longestPrefix(
  networks: readonly (readonly [network: string, number: number])[],
): (address: string) => number | undefined {
  const byLength = new Map<number, Map<number, number>>();
  for (const [network, number] of networks) {
    const [address = '', digits = '32'] = network.split('/');
    const length = Number(digits);
    if (!isIPv4(address) || !Number.isInteger(length) || length < 1 || length > 32) continue;
    const of = byLength.get(length) ?? new Map<number, number>();
    of.set(bits(address) >>> (32 - length), number);
    byLength.set(length, of);
  }
  const longestFirst = [...byLength].sort(([a], [b]) => b - a);
  return address => {
    if (!isIPv4(address)) return undefined;
    const value = bits(address);
    for (const [length, of] of longestFirst) {
      const number = of.get(value >>> (32 - length));
      if (number !== undefined) return number;
    }
    return undefined;
  };
}
