import type { WireguardPeer } from '../api/host-facts.ts';

/** Tells whether packets to an address leave this host for the mesh. Pure. */
export type Reach = (address: string) => boolean;

/**
 * What WireGuard leads to: the union of the peers' AllowedIPs. A default route (0.0.0.0/0) does not count: it says where
 * the Internet is, not which hosts of the mesh there are. IPv6 is left out.
 */
export function reachOf(peers: readonly Pick<WireguardPeer, 'allowedIps'>[]): Reach {
  const ranges = peers
    .flatMap(({ allowedIps }) => allowedIps)
    .flatMap(network => rangeOf(network))
    .sort((a, b) => a.start - b.start);
  // Joined, so that one search finds the only range that may hold an address.
  const starts: number[] = [];
  const ends: number[] = [];
  for (const { start, end } of ranges) {
    const last = ends.length - 1;
    if (last >= 0 && start <= (ends[last] ?? 0)) ends[last] = Math.max(ends[last] ?? 0, end);
    else {
      starts.push(start);
      ends.push(end);
    }
  }
  return address => {
    const number = numberOf(address);
    if (number === undefined) return false;
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= number) low = middle + 1;
      else high = middle;
    }
    return low > 0 && number < (ends[low - 1] ?? 0);
  };
}

/** The addresses of a network; `end` is behind the last. */
function rangeOf(network: string): { start: number; end: number }[] {
  const [address = '', length = '32'] = network.split('/');
  const number = numberOf(address);
  const bits = Number(length);
  if (number === undefined || !Number.isInteger(bits) || bits < 1 || bits > 32) return [];
  const size = 2 ** (32 - bits);
  const start = Math.floor(number / size) * size;
  return [{ start, end: start + size }];
}

function numberOf(address: string): number | undefined {
  const bytes = address.split('.');
  if (bytes.length !== 4) return undefined;
  const number = bytes.reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return Number.isInteger(number) ? number : undefined;
}
