import type { Route } from './route.ts';

/** A broker that the routes name. */
export interface RoutedBroker {
  brokerId: string;
  /** `host:port` of the route of this broker that was read last. */
  address: string;
  /** How many routes lead to it. */
  routes: number;
}

/** The rows of host_routes by host, with a count of them for each broker. A host has at most one row of each broker. */
export class RouteRows {
  readonly #rows = new Map<string, readonly Route[]>();
  readonly #brokers = new Map<string, RoutedBroker>();
  readonly #max: number;
  #count = 0;

  /** @param max the most rows: what others write must not fill this broker's memory */
  constructor(max: number) {
    this.#max = max;
  }

  /** Returns the rows of a host, in no order. */
  of(hostId: string): readonly Route[] {
    return this.#rows.get(hostId) ?? [];
  }

  /** Returns the rows of each host that has any. */
  byHost(): Iterable<readonly Route[]> {
    return this.#rows.values();
  }

  brokers(): Iterable<RoutedBroker> {
    return this.#brokers.values();
  }

  broker(brokerId: string): RoutedBroker | undefined {
    return this.#brokers.get(brokerId);
  }

  /** Adds a row, or replaces the row of the same host and broker. @returns false where there is no room for another */
  put(route: Route): boolean {
    const { hostId, brokerId, address } = route;
    const before = this.of(hostId);
    const others = without(before, brokerId);
    const isNew = others.length === before.length;
    if (isNew && this.#count >= this.#max) return false;
    this.#rows.set(hostId, [...others, route]);
    if (isNew) this.#count += 1;
    const routes = (this.#brokers.get(brokerId)?.routes ?? 0) + (isNew ? 1 : 0);
    this.#brokers.set(brokerId, { brokerId, address, routes });
    return true;
  }

  /** Removes a row, where it is there. */
  remove(hostId: string, brokerId: string): void {
    const before = this.of(hostId);
    const left = without(before, brokerId);
    if (left.length === before.length) return;
    if (left.length === 0) this.#rows.delete(hostId);
    else this.#rows.set(hostId, left);
    this.#count -= 1;
    const broker = this.#brokers.get(brokerId);
    if (broker === undefined) return;
    broker.routes -= 1;
    if (broker.routes <= 0) this.#brokers.delete(brokerId);
  }
}

/** Returns the rows of other brokers than this one. */
export function without(routes: readonly Route[], brokerId: string): Route[] {
  return routes.filter(route => route.brokerId !== brokerId);
}
