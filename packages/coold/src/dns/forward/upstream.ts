import { isIP } from 'node:net';
import { type Address, list, oneAddress, type ValueType } from '@coold/runtime';
import type { Namespace } from '../../discovery/namespaces.ts';

/** Where names outside the zone are asked for. `resolv.conf` means this host's resolvers. */
export type Upstream = Address | 'resolv.conf';

/** The most upstreams, including those of the host's resolv.conf. */
export const maxUpstreams = 8;

const upstream: ValueType<Upstream> = {
  expected: 'the address and port of a resolver such as 1.1.1.1:53, or resolv.conf',
  parse(text) {
    if (text === 'resolv.conf') return text;
    const address = oneAddress.parse(text);
    return address === undefined || address.port === 0 || isIP(address.host) === 0 ? undefined : address;
  },
};

/** One or more, in the order in which they are asked. */
export const upstreams: ValueType<Upstream[]> = {
  expected: `one to ${maxUpstreams} upstreams, comma-separated, each ${upstream.expected}`,
  parse(text) {
    const all = list(upstream).parse(text);
    return all === undefined || all.length === 0 || all.length > maxUpstreams ? undefined : all;
  },
};

/** Returns the namespace whose gateway has this very address, so that every query would come back to us for ever. */
export function loopsTo(upstream: Upstream, namespaces: readonly Namespace[]): Namespace | undefined {
  if (upstream === 'resolv.conf') return undefined;
  return namespaces.find(({ gateway }) => upstream.port === 53 && upstream.host === gateway);
}

export function formatUpstream({ host, port }: Address): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
