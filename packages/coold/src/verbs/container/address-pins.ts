import type { Cidr } from '../../firewall/rule/cidr.ts';
import type { AddressHolder } from '../../podman/address-holders.ts';
import { pinnedAddress } from '../../podman/pinned-address.ts';

// Every container on a network of a namespace gets its address when it is created and keeps it for its life
// (docs/contract.md §4): allow rules name addresses, and Podman's own choice is another one after each restart. Pure.

/** A network whose containers get pinned addresses. */
export interface PinnedNetwork {
  subnet: Cidr;
  gateway: string;
}

/** Returns the addresses that containers have on a network, including containers that do not run. */
export function heldAddresses(holders: readonly AddressHolder[], network: string): Set<string> {
  const held = new Set<string>();
  for (const { labels, networks } of holders) {
    const now = networks.get(network);
    if (now === undefined) continue;
    if (now !== '') held.add(now);
    const pinned = pinnedAddress(labels, network);
    if (pinned !== undefined) held.add(pinned);
  }
  return held;
}

/** Skips the network's own address, `.1`, which is usually the gateway's, and `.2`, which Podman itself assigns first. */
const firstOffset = 3;

/** Returns the lowest free address of a network; undefined when it is full. */
export function lowestFree(
  { subnet, gateway }: PinnedNetwork,
  isFree: (address: string) => boolean,
): string | undefined {
  const [address = '', length = ''] = subnet.split('/');
  const base = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const broadcast = base + 2 ** (32 - Number(length)) - 1;
  for (let candidate = base + firstOffset; candidate < broadcast; candidate += 1) {
    const text = [24, 16, 8, 0].map(shift => Math.floor(candidate / 2 ** shift) % 256).join('.');
    if (text !== gateway && isFree(text)) return text;
  }
  return undefined;
}
