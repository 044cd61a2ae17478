import type { ValueType } from '@coold/runtime';

/** The addresses that builds have on this host, of COOLD_BUILDER_NET. */
export interface AddressPlan {
  /** The whole range, as `240.0.0.0/24`. */
  net: string;
  /** This host's address on the cable to each build, the same on all: a build's gateway and resolver. */
  gateway: string;
  /** A build has one slot for its lifetime, from `first` to `last`; each has an address of its own. */
  slots: { first: number; last: number };
  addressOf(slot: number): string;
}

/** At least twice as many slots as a host may have builds: those of ended builds are free a moment later. */
const [shortest, longest] = [16, 24];

/** An IPv4 network with its length, without bits beyond it: the kernel and nft would each make their own of those. */
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

/** @param net as `addressRange` takes it */
export function planAddresses(net: string): AddressPlan {
  const network = addressRange.parse(net) === undefined ? undefined : readIpv4Network(net);
  if (network === undefined) throw new Error(`${JSON.stringify(net)}: expected ${addressRange.expected}`);
  const addressOf = (slot: number) => ipv4Text(network.first + slot);
  // Its first and last address are those of the network and of its broadcasts, to some programs.
  return {
    ...{ net, gateway: addressOf(1), addressOf },
    slots: { first: 2, last: network.last - network.first - 1 },
  };
}

export interface Ipv4Network {
  /** Addresses as numbers, both within it. */
  first: number;
  last: number;
  length: number;
}

/** @returns undefined for what is no network, or has bits beyond its length */
export function readIpv4Network(text: string): Ipv4Network | undefined {
  const [, address = '', digits = ''] = /^([0-9.]{7,15})\/(0|[1-9]\d?)$/.exec(text) ?? [];
  const first = ipv4Value(address);
  const length = Number(digits);
  if (first === undefined || digits === '' || length > 32) return undefined;
  const size = 2 ** (32 - length);
  return first % size === 0 ? { first, last: first + size - 1, length } : undefined;
}

/** @returns undefined for what is no IPv4 address in its usual form */
export function ipv4Value(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

function ipv4Text(value: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
}
