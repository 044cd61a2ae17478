import type { Route } from './route.ts';
import { type RoutedBroker, RouteRows, without } from './route-rows.ts';

/** Where a host is that has no stream at this broker. */
export type HostLocation =
  /** The routes have not been read yet: the host may be connected to any broker. */
  | { kind: 'unknown' }
  /** No living broker has a route to it. */
  | { kind: 'nowhere' }
  | { kind: 'other broker'; route: Route };

/** The routes of all brokers, in memory. Routes to a dead broker are ignored. */
export interface RouteTable {
  /** Returns where a host is that has no stream at this broker. */
  locate(hostId: string): HostLocation;
  /** Returns the newest route that another broker has claimed, whether that broker is dead or not. */
  ofOthers(hostId: string): Route | undefined;
  /** Returns this broker's own routes, as Corrosion has them. */
  own(): Route[];
  /** Counts hosts by whose route is the newest. `lapsed`: only dead brokers have a route to the host. */
  counts(): { here: number; elsewhere: number; lapsed: number };
  /** Returns the brokers that have routes, this one included. */
  brokers(): Iterable<RoutedBroker>;
  broker(brokerId: string): RoutedBroker | undefined;
  /** Whether all routes were read at least once. */
  readonly isLoaded: boolean;
  /** All rows follow. The rows read before stay in force until `finish`. */
  begin(): void;
  /** Takes one of these rows. @returns false where it is left out, because there are too many */
  load(route: Route): boolean;
  finish(): void;
  /** Takes a row that has changed. @returns false where it is left out, because there are too many */
  put(route: Route): boolean;
  remove(hostId: string, brokerId: string): void;
}

/**
 * @param ownId the id of this broker
 * @param max the most rows that are kept
 * @param isDead whether routes to a broker are ignored
 */
export function createRouteTable(
  ownId: string,
  max: number,
  isDead: (brokerId: string) => boolean = () => false,
): RouteTable {
  let rows = new RouteRows(max);
  let loading = new RouteRows(max);
  let isLoaded = false;

  const newestAlive = (routes: readonly Route[]) => newest(routes.filter(route => !isDead(route.brokerId)));

  return {
    locate(hostId) {
      if (!isLoaded) return { kind: 'unknown' };
      const route = newestAlive(rows.of(hostId));
      // A newest route of this broker's own means that the host has just left, and that its row is about to be removed.
      return route === undefined || route.brokerId === ownId
        ? { kind: 'nowhere' }
        : { kind: 'other broker', route };
    },
    ofOthers: hostId => newest(without(rows.of(hostId), ownId)),
    own: () => [...rows.byHost()].flatMap(routes => routes.filter(route => route.brokerId === ownId)),
    counts() {
      const counted = { here: 0, elsewhere: 0, lapsed: 0 };
      for (const routes of rows.byHost()) {
        const route = newestAlive(routes);
        if (route === undefined) counted.lapsed += 1;
        else counted[route.brokerId === ownId ? 'here' : 'elsewhere'] += 1;
      }
      return counted;
    },
    brokers: () => rows.brokers(),
    broker: brokerId => rows.broker(brokerId),
    get isLoaded() {
      return isLoaded;
    },
    begin() {
      loading = new RouteRows(max);
    },
    load: route => loading.put(route),
    finish() {
      rows = loading;
      loading = new RouteRows(max);
      isLoaded = true;
    },
    put: route => rows.put(route),
    remove: (hostId, brokerId) => rows.remove(hostId, brokerId),
  };
}

function newest(routes: readonly Route[]): Route | undefined {
  return routes.reduce<Route | undefined>(later, undefined);
}

/** Returns the later claim. Of two at the same moment every broker chooses the same one. */
function later(a: Route | undefined, b: Route): Route {
  if (a === undefined || b.connectedAt > a.connectedAt) return b;
  return b.connectedAt === a.connectedAt && b.brokerId > a.brokerId ? b : a;
}
