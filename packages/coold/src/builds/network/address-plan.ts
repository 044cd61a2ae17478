import type { ValueType } from '@coold/runtime';

/** The addresses of builds on this host, from COOLD_BUILDER_NET. */
export interface AddressPlan {
  /** The whole range, for example `240.0.0.0/24`. */
  net: string;
  /** The address of this host on every cable. It is the gateway and resolver of each build. */
  gateway: string;
  /** The range of slots. A build has one slot for its lifetime, and each slot has an address. */
  slots: { first: number; last: number };
  addressOf(slot: number): string;
}

/** The allowed prefix lengths. They give at least twice as many slots as a host may have builds, since the slot of an ended build is free only a moment later. */
const [shortest, longest] = [16, 24];

/** An IPv4 network with its prefix length and without host bits, which the kernel and nft would treat differently. */
export const ipv4Network: ValueType<string> = {
  expected: 'an IPv4 network such as 10.20.0.0/16 or 192.168.7.9/32',
  parse: text => (readIpv4Network(text) === undefined ? undefined : text),
};

export const addressRange: ValueType<string> = {
  expected: `an IPv4 network of a length from /${shortest} to /${longest} such as 240.0.0.0/24`,
  parse(text) {
    const network = readIpv4Network(text);
    return network === undefined || network.length < shortest || network.length > longest ? undefined : text;
  },
};

/** Returns the addresses in a range. @param net a value of `addressRange` @throws Error for another text */
export function planAddresses(net: string): AddressPlan {
  const network = addressRange.parse(net) === undefined ? undefined : readIpv4Network(net);
  if (network === undefined) throw new Error(`${JSON.stringify(net)}: expected ${addressRange.expected}`);
  const addressOf = (slot: number) => ipv4Text(network.first + slot);
  // Some programs treat the first and last address of a network as network and broadcast address.
  return {
    net,
    gateway: addressOf(1),
    addressOf,
    slots: { first: 2, last: network.last - network.first - 1 },
  };
}

export interface Ipv4Network {
  /** Addresses as numbers, both within it. */
  first: number;
  last: number;
  length: number;
}

/** Reads a network. Returns undefined for a text that is no network or has host bits. */
export function readIpv4Network(text: string): Ipv4Network | undefined {
  const [, address = '', digits = ''] = /^([0-9.]{7,15})\/(0|[1-9]\d?)$/.exec(text) ?? [];
  const first = ipv4Value(address);
  const length = Number(digits);
  if (first === undefined || digits === '' || length > 32) return undefined;
  const size = 2 ** (32 - length);
  return first % size === 0 ? { first, last: first + size - 1, length } : undefined;
}

/** Returns an IPv4 address as a number, undefined for a text that is no IPv4 address in its usual form. */
export function ipv4Value(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

function ipv4Text(value: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
}
