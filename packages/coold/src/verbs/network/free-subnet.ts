import type { Cidr } from '../../firewall/rule/cidr.ts';
import type { Claim } from './subnet-claims.ts';

/** Podman's own range: 10.89.0.0 to 10.255.255.0, a /24 each. */
const first = toNumber('10.89.0.0');
const last = toNumber('10.255.255.0');
const size = 256;

/** The size of a network in a larger slice. */
const slicePrefix = 24;

/** Returns the first unclaimed subnet of a slice: a /24, or the whole slice when it is no larger. */
export function freeInSlice(slice: Cidr, claims: readonly Claim[]): Cidr | undefined {
  const length = Math.max(slicePrefix, Number(slice.split('/')[1]));
  const step = 2 ** (32 - length);
  const { start, end } = rangeOf(slice);
  return firstFree({ start, last: end - step, step }, `/${length}`, claims);
}

/**
 * Returns an unclaimed subnet of Podman's range. Podman's own choice considers its host's networks and interfaces, but
 * not the routes into the mesh.
 */
export function freeSubnet(claims: readonly Claim[]): Cidr | undefined {
  return firstFree({ start: first, last, step: size }, '/24', claims);
}

function firstFree(
  { start: from, last: to, step }: { start: number; last: number; step: number },
  suffix: string,
  claims: readonly Claim[],
): Cidr | undefined {
  const ranges = claims.map(({ network }) => rangeOf(network));
  for (let start = from; start <= to; ) {
    const hit = ranges.find(range => range.start < start + step && range.end > start);
    if (hit === undefined) return `${toText(start)}${suffix}`;
    // Continues after the whole claim, which may be as wide as the range.
    start = Math.max(start + step, Math.ceil(hit.end / step) * step);
  }
  return undefined;
}

/** Returns the addresses of a network, with or without host bits; `end` is exclusive. */
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
