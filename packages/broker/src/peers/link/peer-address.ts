import { isIPv4, isIPv6 } from 'node:net';
import type { Address, ValueType } from '@coold/runtime';

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const numeric = /^[0-9.]+$/;

/** The address that other brokers dial: a name, an IPv4 address or an IPv6 address in brackets, and a port. */
export const peerAddress: ValueType<Address> = {
  expected: 'a host and port such as broker-2.internal:6444 or 10.0.0.2:6444',
  parse(value) {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([1-9]\d{0,4})$/.exec(value);
    const [, inBrackets, plain] = match ?? [];
    const port = Number(match?.[3]);
    const host = inBrackets ?? plain;
    if (host === undefined || port > 65_535) return undefined;
    const isGood =
      plain === undefined ? isIPv6(host) : numeric.test(plain) ? isIPv4(plain) : hostName.test(plain);
    return isGood ? { host, port } : undefined;
  },
};

/** Formats an address for a route, and for parsing it back. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
