import type { Cidr } from '../firewall/cidr.ts';
import type { Claim } from './subnet-claims.ts';

/** Where Podman takes its own from: 10.89.0.0 to 10.255.255.0, a /24 each. */
const first = toNumber('10.89.0.0');
const last = toNumber('10.255.255.0');
const size = 256;

/**
 * A subnet of the pools that Podman has, none of whose addresses is claimed. Podman's own choice knows the networks and the
 * interfaces of its host, and not the routes into the mesh.
 */
export function freeSubnet(claims: readonly Claim[]): Cidr | undefined {
  const ranges = claims.map(({ network }) => rangeOf(network));
  for (let start = first; start <= last; ) {
    const hit = ranges.find(range => range.start < start + size && range.end > start);
    if (hit === undefined) return `${toText(start)}/24`;
    // Past all of it: a claim may be as wide as the pools.
    start = Math.max(start + size, Math.ceil(hit.end / size) * size);
  }
  return undefined;
}

/** The addresses of a network, host bits or not; `end` is behind the last. */
function rangeOf(network: Cidr): { start: number; end: number } {
  const [address = '', length = '32'] = network.split('/');
  const count = 2 ** (32 - Number(length));
  const start = Math.floor(toNumber(address) / count) * count;
  return { start, end: start + count };
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

function toText(address: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(address / 2 ** shift) % 256).join('.');
}
