import { isIP } from 'node:net';
import type { Address } from '@coold/runtime';

/** glibc asks no more than these. */
const most = 3;

/**
 * The resolvers of a resolv.conf, in its order.
 *
 * @param own an address that is left out, since it leads back to who asks
 */
export function readResolvers(resolvConf: string, own: string): Address[] {
  return resolvConf
    .split('\n')
    .map(line => /^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? '')
    .filter(host => isIP(host) !== 0 && host !== own)
    .slice(0, most)
    .map(host => ({ host, port: 53 }));
}

/** A build's /etc/resolv.conf: patient enough for a restart of coold. */
export function buildResolvConf(gateway: string): string {
  return [
    '# Names in builds are looked up by coold, with the resolver of this host.',
    `nameserver ${gateway}`,
    'options timeout:2 attempts:5',
    '',
  ].join('\n');
}
