import { isIPv4 } from 'node:net';
import type { ValueType } from '@coold/runtime';

/** An IPv4 network in canonical notation: no host bits, no leading zeros, always with its prefix length. */
export type Cidr = string;

/**
 * Parses a network. Prefixes shorter than /8 are refused: a deny rule for a quarter of the Internet is a typing
 * mistake, and iptables would print 0.0.0.0/0 back as no address at all.
 */
export const cidr: ValueType<Cidr> = {
  expected: 'an IPv4 network such as 10.210.0.0/24 (no host bits, /8 to /32)',
  parse(text) {
    const [address = '', length = '', ...rest] = text.split('/');
    if (rest.length > 0 || !isIPv4(address) || !/^([89]|[12]\d|3[0-2])$/.test(length)) return undefined;
    return (bits(address) & ~mask(Number(length))) === 0 ? text : undefined;
  },
};

/** A network or a single address. */
export const addressOrNetwork: ValueType<Cidr> = {
  expected: 'an IPv4 address or network such as 10.210.0.5 or 10.210.0.0/24 (no host bits)',
  parse: text => cidr.parse(isIPv4(text) ? `${text}/32` : text),
};

/** Whether every address of `inner` is in `outer`. */
export function covers(outer: Cidr, inner: Cidr): boolean {
  const [outerAddress, outerLength] = split(outer);
  const [innerAddress, innerLength] = split(inner);
  return outerLength <= innerLength && ((outerAddress ^ innerAddress) & mask(outerLength)) === 0;
}

/** Whether two networks have an address in common. */
export function overlap(a: Cidr, b: Cidr): boolean {
  return covers(a, b) || covers(b, a);
}

/**
 * Returns the fewest of the given networks that contain the same addresses, sorted. Repeated and covered networks are
 * dropped.
 */
export function outermost(networks: readonly Cidr[]): Cidr[] {
  const distinct = [...new Set(networks)];
  return sorted(
    distinct.filter(network => !distinct.some(other => other !== network && covers(other, network))),
  );
}

/** Sorts networks by address. */
export function sorted(networks: readonly Cidr[]): Cidr[] {
  return networks.toSorted((a, b) => (split(a)[0] >>> 0) - (split(b)[0] >>> 0));
}

/** Returns the addresses of a network that are in none of `others`, as the fewest networks. */
export function without(network: Cidr, others: readonly Cidr[]): Cidr[] {
  if (others.some(other => covers(other, network))) return [];
  if (!others.some(other => covers(network, other))) return [network];
  return halves(network).flatMap(half => without(half, others));
}

function halves(network: Cidr): Cidr[] {
  const [address, length] = split(network);
  return [address, address | (1 << (31 - length))].map(half => `${dotted(half)}/${length + 1}`);
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 0xff).join('.');
}

/** Returns a network's own address and its broadcast address. */
export function endsOf(network: Cidr): [string, string] {
  const [address, length] = split(network);
  return [dotted(address & mask(length)), dotted(address | ~mask(length))];
}

function split(network: Cidr): [address: number, length: number] {
  const [address = '', length = ''] = network.split('/');
  return [bits(address), Number(length)];
}

/** Returns an IPv4 address as a 32-bit number, which may be negative. */
export function bits(address: string): number {
  return address.split('.').reduce((value, byte) => (value << 8) | Number(byte), 0);
}

/** Returns an IPv4 address as four bytes in network order. */
export function addressBytes(address: string): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(bits(address));
  return bytes;
}

function mask(length: number): number {
  return length === 0 ? 0 : -1 << (32 - length);
}
