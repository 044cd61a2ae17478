import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Address } from '@coold/runtime';

/** glibc asks no more than these. */
const most = 3;

/** Where systemd-resolved listens on every host that has it; where it asks itself, its own file says. */
const stub = '127.0.0.53';

export const resolvConfPaths = {
  host: '/etc/resolv.conf',
  behindStub: '/run/systemd/resolve/resolv.conf',
};

/**
 * The resolvers of a resolv.conf, in its order.
 *
 * @param own addresses that are left out, since they lead back to who asks
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
 * The resolvers of this host. Where it asks systemd-resolved, those that systemd-resolved asks: it is one hop less, and goes on
 * while that is restarted.
 *
 * @returns empty where the files name none or cannot be read
 */
export async function readHostResolvers(
  own: readonly string[],
  paths: typeof resolvConfPaths = resolvConfPaths,
): Promise<Address[]> {
  // Link-local addresses of IPv6 need an interface, which what asks cannot be told.
  const usable = (resolvers: Address[]) => resolvers.filter(({ host }) => !host.includes('%'));
  const read = (path: string) => readFile(path, 'utf8').catch(() => '');
  const named = usable(readResolvers(await read(paths.host), ...own));
  if (!named.some(({ host }) => host === stub)) return named;
  const behind = usable(readResolvers(await read(paths.behindStub), ...own, stub));
  return behind.length > 0 ? behind : named;
}
