import { isObject } from '@coold/runtime';
import { ipv4Value, readIpv4Network } from './address-plan.ts';
import { cablePrefix } from './cable.ts';

/** An IPv4 route of this host, from any table. */
export interface Route {
  /** The destination as `ip` prints it: `default`, a network or an address. */
  to: string;
  /** The interfaces of the route. A multipath route has several. */
  devices: string[];
}

/** Reads the output of `ip -json -4 route show table all`. @throws Error for another text */
export function readRoutes(json: string): Route[] {
  const list: unknown = JSON.parse(json.trim() === '' ? '[]' : json);
  if (!Array.isArray(list)) throw new Error('ip route: expected a list');
  return list.flatMap((entry: unknown) => {
    if (!isObject(entry)) return [];
    const { dst: to, nexthops } = entry;
    const hops: unknown[] = Array.isArray(nexthops) ? nexthops : [];
    const devices = [entry, ...hops]
      .map(hop => (isObject(hop) ? hop['dev'] : undefined))
      .filter(name => typeof name === 'string');
    return typeof to === 'string' ? [{ to, devices }] : [];
  });
}

/** Destinations of default routes. A VPN often adds two halves over a default route that it leaves in place. */
const everywhere = ['default', '0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1'];

/**
 * Returns the interfaces by which this host reaches the internet: those of the default routes of all tables.
 *
 * @param mesh the interface of the mesh, which is never an uplink, even with a default route
 */
export function uplinksOf(routes: readonly Route[], mesh: string): string[] {
  const devices = routes.filter(({ to }) => everywhere.includes(to)).flatMap(route => route.devices);
  const isUplink = (name: string) => name !== mesh && name !== 'lo' && !name.startsWith(cablePrefix);
  // A name that nft could misread is left out.
  return [...new Set(devices)].filter(name => isUplink(name) && /^[\w.:@-]{1,15}$/.test(name)).toSorted();
}

/** Returns a route of another program into the addresses of builds, undefined when there is none. */
export function collision(routes: readonly Route[], net: string): Route | undefined {
  const range = readIpv4Network(net);
  if (range === undefined) return undefined;
  return routes.find(({ to, devices }) => {
    // The routes of builds are on cables, and on lo, where coold listens.
    if (everywhere.includes(to) || devices.every(name => name === 'lo' || name.startsWith(cablePrefix)))
      return false;
    const target = to.includes('/') ? readIpv4Network(to) : pointOf(to);
    return target !== undefined && target.first <= range.last && range.first <= target.last;
  });
}

function pointOf(address: string): { first: number; last: number } | undefined {
  const value = ipv4Value(address);
  return value === undefined ? undefined : { first: value, last: value };
}
