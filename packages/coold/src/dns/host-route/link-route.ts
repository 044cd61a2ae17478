import type { LinkDns } from './resolve1.ts';

/** Whether a link has the route to the zone. `foreign`: another program configured the link, so it is left alone. */
export type RouteStanding = { kind: 'in place' | 'missing' } | { kind: 'foreign'; what: string };

/** Judges whether a link asks this server for the zone and for nothing else. Pure. */
export function judgeRoute(
  { servers, domains, isDefaultRoute }: LinkDns,
  server: string,
  zone: string,
): RouteStanding {
  const others = servers.filter(each => each !== server);
  // The domain is set before the server; a coold killed in between leaves the domain alone.
  const strange = domains.filter(({ name, isRouteOnly }) => name !== zone || !isRouteOnly);
  if (others.length > 0) return { kind: 'foreign', what: `resolvers ${others.slice(0, 3).join(', ')}` };
  if (strange.length > 0)
    return {
      kind: 'foreign',
      what: `domains ${strange
        .slice(0, 3)
        .map(({ name, isRouteOnly }) => `${isRouteOnly ? '~' : ''}${name}`)
        .join(', ')}`,
    };
  return servers.length === 1 && domains.length === 1 && !isDefaultRoute
    ? { kind: 'in place' }
    : { kind: 'missing' };
}
