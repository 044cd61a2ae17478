import { isIPv4 } from 'node:net';

/** An IPv4 address as the number that it is, of 32 bits; 0 for what is none. */
export function ipv4Number(address: string): number {
  return isIPv4(address) ? address.split('.').reduce((number, part) => number * 256 + Number(part), 0) : 0;
}
