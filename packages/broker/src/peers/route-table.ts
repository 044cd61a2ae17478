import type { Route } from './route.ts';

/** Where a host is that has no stream here. */
export type Whereabouts =
  /** The routes were never read: it may be anywhere. */
  { kind: 'unknown' } | { kind: 'nowhere' } | { kind: 'elsewhere'; route: Route };

/** All brokers' routes, in memory. */
export interface RouteTable {
  /** Of a host without a stream here. */
  where(hostId: string): Whereabouts;
  /** The newest route that another broker has claimed. */
  ofOthers(hostId: string): Route | undefined;
  /** This broker's own, as they are in Corrosion. */
  own(): Route[];
  /** Hosts with a route, by whose is the newest. */
  counts(): { here: number; elsewhere: number };
  /** Routes were read whole at least once. */
  readonly isLoaded: boolean;
  /** Rows come, from the first on; what is known counts until `finish`. */
  begin(): void;
  /** False: it is left out, there are too many. */
  load(route: Route): boolean;
  finish(): void;
  /** One row that has changed; false as of `load`. */
  put(route: Route): boolean;
  remove(hostId: string, brokerId: string): void;
}

/** Routes of a host, one a broker: as a rule there is one. */
type Rows = Map<string, readonly Route[]>;

/** @param max rows kept: what others write must not fill this broker's memory */
export function createRouteTable(ownId: string, max: number): RouteTable {
  let rows: Rows = new Map();
  let count = 0;
  let loading: Rows = new Map();
  let loadingCount = 0;
  let isLoaded = false;

  const newest = (routes: readonly Route[]) => routes.reduce<Route | undefined>(later, undefined);
  const without = (routes: readonly Route[] | undefined, brokerId: string) =>
    (routes ?? []).filter(route => route.brokerId !== brokerId);

  /** How many more rows there are. */
  function set(into: Rows, route: Route, room: boolean): 0 | 1 | undefined {
    const before = into.get(route.hostId);
    const others = without(before, route.brokerId);
    const isNew = others.length === (before?.length ?? 0);
    if (isNew && !room) return undefined;
    into.set(route.hostId, [...others, route]);
    return isNew ? 1 : 0;
  }

  return {
    where(hostId) {
      if (!isLoaded) return { kind: 'unknown' };
      const route = newest(rows.get(hostId) ?? []);
      // Its own claim is the newest, and the host is not here: it has just left, and its row has not.
      return route === undefined || route.brokerId === ownId
        ? { kind: 'nowhere' }
        : { kind: 'elsewhere', route };
    },
    ofOthers: hostId => newest(without(rows.get(hostId), ownId)),
    own: () => [...rows.values()].flatMap(routes => routes.filter(route => route.brokerId === ownId)),
    counts() {
      let here = 0;
      for (const routes of rows.values()) if (newest(routes)?.brokerId === ownId) here += 1;
      return { here, elsewhere: rows.size - here };
    },
    get isLoaded() {
      return isLoaded;
    },
    begin() {
      loading = new Map();
      loadingCount = 0;
    },
    load(route) {
      const more = set(loading, route, loadingCount < max);
      loadingCount += more ?? 0;
      return more !== undefined;
    },
    finish() {
      rows = loading;
      count = loadingCount;
      loading = new Map();
      isLoaded = true;
    },
    put(route) {
      const more = set(rows, route, count < max);
      count += more ?? 0;
      return more !== undefined;
    },
    remove(hostId, brokerId) {
      const before = rows.get(hostId);
      if (before === undefined) return;
      const left = without(before, brokerId);
      count -= before.length - left.length;
      if (left.length === 0) rows.delete(hostId);
      else rows.set(hostId, left);
    },
  };
}

/** The later claim; of two at the same moment the same one everywhere. */
function later(a: Route | undefined, b: Route): Route {
  if (a === undefined || b.connectedAt > a.connectedAt) return b;
  return b.connectedAt === a.connectedAt && b.brokerId > a.brokerId ? b : a;
}
