import { labelsBelow, wireName } from './names.ts';

/** An address whose reverse name was asked for (RFC 1035 §3.5). */
export interface ReverseName {
  /** IPv4. */
  address: string;
  /** Whether the name is below the reverse name, as service discovery asks for. */
  isBelow: boolean;
}

const reverseZone = wireName('in-addr.arpa');
const octet = /^(?:0|[1-9]\d{0,2})$/;

/**
 * Parses the reverse name of a private IPv4 address (RFC 1918, RFC 6598). Only those can belong to the mesh: any other
 * address's reverse name is for the upstream, and answering threads need not ask the main one.
 *
 * @param name on the wire, in lower case
 * @returns undefined for any other name
 */
export function readReverseName(name: string): ReverseName | undefined {
  const labels = labelsBelow(name, reverseZone);
  if (labels === undefined || labels.length < 4) return undefined;
  const octets = labels.slice(-4).reverse();
  if (!octets.every(each => octet.test(each) && Number(each) < 256)) return undefined;
  const [first = 0, second = 0] = octets.map(Number);
  return isPrivate(first, second) ? { address: octets.join('.'), isBelow: labels.length > 4 } : undefined;
}

function isPrivate(first: number, second: number): boolean {
  switch (first) {
    case 10:
      return true;
    case 172:
      return second >= 16 && second < 32;
    case 192:
      return second === 168;
    case 100:
      return second >= 64 && second < 128;
    default:
      return false;
  }
}

/** Returns the zone of a reverse name on the wire: that of its /24. @param name of an address, as in `readReverseName` */
export function reverseZoneOf(name: string): string {
  const labels = labelsBelow(name, reverseZone) ?? [];
  return [...labels.slice(-3).map(label => String.fromCharCode(label.length) + label), reverseZone].join('');
}
