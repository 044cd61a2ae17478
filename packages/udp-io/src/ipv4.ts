import { isIPv4 } from 'node:net';

/** Returns an IPv4 address as a number of 32 bits. 0: the text is not an IPv4 address. */
export function ipv4Number(address: string): number {
  return isIPv4(address) ? address.split('.').reduce((number, part) => number * 256 + Number(part), 0) : 0;
}

/** The text of an IPv4 address that is given as a number of 32 bits. */
export function ipv4Text(number: number): string {
  return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
}
