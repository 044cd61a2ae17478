import { ipv4Value, readIpv4Network } from './address-plan.ts';
import { cablePrefix } from './cable.ts';

/** One of this host's IPv4 routes, of any table. */
export interface Route {
  /** As `ip` prints it: `default`, a network or an address. */
  to: string;
  /** Interfaces that it leads to; more than one where load is shared. */
  devices: string[];
}

/** Reads `ip -json -4 route show table all`. @throws Error for anything else */
export function readRoutes(json: string): Route[] {
  const list: unknown = JSON.parse(json.trim() === '' ? '[]' : json);
  if (!Array.isArray(list)) throw new Error('ip route: expected a list');
  return list.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null || !('dst' in entry)) return [];
    const hops: unknown[] = 'nexthops' in entry && Array.isArray(entry.nexthops) ? entry.nexthops : [];
    const devices = [entry, ...hops].map(deviceOf).filter(name => name !== undefined);
    return typeof entry.dst === 'string' ? [{ to: entry.dst, devices }] : [];
  });
}

function deviceOf(hop: unknown): string | undefined {
  if (typeof hop !== 'object' || hop === null || !('dev' in hop)) return undefined;
  return typeof hop.dev === 'string' ? hop.dev : undefined;
}

/** A default route, or one half of it: VPNs lay two halves over a default route that they leave in place. */
const everywhere = ['default', '0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1'];

/**
 * The interfaces by which this host reaches the internet: those of its default routes, in whichever table.
 *
 * @param mesh the interface of the mesh, which is not a way out even if it has a default route
 */
export function uplinksOf(routes: readonly Route[], mesh: string): string[] {
  const devices = routes.filter(({ to }) => everywhere.includes(to)).flatMap(route => route.devices);
  const isUplink = (name: string) => name !== mesh && name !== 'lo' && !name.startsWith(cablePrefix);
  // A name that nft would read as something else is no uplink.
  return [...new Set(devices)].filter(name => isUplink(name) && /^[\w.:@-]{1,15}$/.test(name)).toSorted();
}

/** A route of something else into the addresses of builds; undefined: there is none. */
export function collision(routes: readonly Route[], net: string): Route | undefined {
  const range = readIpv4Network(net);
  if (range === undefined) return undefined;
  return routes.find(({ to, devices }) => {
    // Ours are on the cables, and on lo where coold listens.
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
