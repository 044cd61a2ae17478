import { isIP } from 'node:net';
import type { Address } from '@coold/runtime';
import { readRegularFile } from '@coold/runtime';

/** glibc uses at most this many resolvers. */
const most = 3;

/** systemd-resolved's address on every host that has it. Its own file lists the servers that it uses. */
const stub = '127.0.0.53';

export const resolvConfPaths = { host: '/etc/resolv.conf', behindStub: '/run/systemd/resolve/resolv.conf' };

/**
 * Returns the resolvers of a resolv.conf, in order.
 *
 * @param own addresses to leave out, because they lead back to coold
 */
export function readResolvers(resolvConf: string, ...own: readonly string[]): Address[] {
  return resolvConf
    .split('\n')
    .map(line => /^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? '')
    .filter(host => isIP(host) !== 0 && !own.includes(host))
    .slice(0, most)
    .map(host => ({ host, port: 53 }));
}

/**
 * Returns this host's resolvers. When that is systemd-resolved, returns the servers that it uses: this saves a hop, and
 * works while systemd-resolved restarts.
 *
 * @returns empty when the files name none or cannot be read
 */
export async function readHostResolvers(
  own: readonly string[],
  paths: typeof resolvConfPaths = resolvConfPaths,
): Promise<Address[]> {
  // Link-local IPv6 addresses need an interface, which the forwarder's sockets cannot be given.
  const usable = (resolvers: Address[]) => resolvers.filter(({ host }) => !host.includes('%'));
  const read = (path: string) => readRegularFile(path).catch(() => '');
  const named = usable(readResolvers(await read(paths.host), ...own));
  if (!named.some(({ host }) => host === stub)) return named;
  const behind = usable(readResolvers(await read(paths.behindStub), ...own, stub));
  return behind.length > 0 ? behind : named;
}
