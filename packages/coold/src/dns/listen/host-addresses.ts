import { networkInterfaces } from 'node:os';

/**
 * Returns the link address of the interface that is up and has an IPv4 address; undefined when there is none. Every
 * listener asks several times a second, and reading interfaces takes a system call each, so the result is cached
 * briefly.
 */
export type HostAddresses = (address: string) => string | undefined;

/** The loopback interface lists one address, and accepts all of 127.0.0.0/8. */
const loopback = { prefix: '127.', address: '127.0.0.1' };
/** Less than any listener waits between two checks, in ms. */
const keptMs = 200;

/** @param now monotonic, in ms */
export function createHostAddresses(
  read: typeof networkInterfaces = networkInterfaces,
  now: () => number = () => performance.now(),
): HostAddresses {
  let known: { at: number; links: ReadonlyMap<string, string> } | undefined;
  return address => {
    if (known === undefined || now() - known.at >= keptMs) {
      const all = Object.values(read()).flatMap(list => list ?? []);
      known = { at: now(), links: new Map(all.map(each => [each.address, each.mac])) };
    }
    return known.links.get(address.startsWith(loopback.prefix) ? loopback.address : address);
  };
}
