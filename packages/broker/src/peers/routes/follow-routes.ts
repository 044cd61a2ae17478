import {
  type Corrosion,
  type KeptSubscription,
  keepSubscription,
  type SubscriptionOptions,
} from '@coold/corrosion';
import { errorMessage, type Logger } from '@coold/runtime';
import { everyRoute, type Route, readRoute, routeColumns } from './route.ts';
import type { RouteTable } from './route-table.ts';

export interface FollowRoutesOptions extends Pick<SubscriptionOptions, 'backoff'> {
  log: Logger;
  /** Unix time in ms. */
  now: () => number;
  /** Every row was read, the first time or again. */
  onLoaded(): void;
  /**
   * Changes are told again after a break. A subscription that was taken up again does not show an agent whose database was
   * put back: its rows are kept in a file of their own.
   */
  onRegained(): void;
}

export interface RouteFollower extends Pick<KeptSubscription, 'run'> {
  /** Every change is told as it happens. */
  readonly isConnected: boolean;
}

/** Fills the table from Corrosion. A row that cannot be read is left out: it must not cost the others. */
export function followRoutes(
  corrosion: Corrosion,
  table: RouteTable,
  options: FollowRoutesOptions,
): RouteFollower {
  const { log, now, onLoaded, onRegained, ...rest } = options;
  let isConnected = false;
  let isFirst = true;
  let isSaid = false;
  // Once a load: a program that writes such rows may write thousands.
  const leaveOut = (why: string, values: readonly unknown[]) => {
    const key = values.slice(0, 2).map(value => String(value).slice(0, 100));
    log[isSaid ? 'debug' : 'warn']({ why, key }, 'a route is left out');
    isSaid = true;
  };
  const take = (values: readonly unknown[], into: (route: Route) => boolean): boolean => {
    try {
      const taken = into(readRoute(values, now()));
      if (!taken) leaveOut('there are too many', values);
      return taken;
    } catch (error) {
      leaveOut(errorMessage(error), values);
      return false;
    }
  };
  const kept = keepSubscription(corrosion, {
    name: 'host_routes',
    statement: everyRoute,
    columns: routeColumns,
    reader: {
      begin() {
        isSaid = false;
        table.begin();
      },
      row: values => void take(values, table.load),
      finish() {
        table.finish();
        onLoaded();
      },
      change(kind, values) {
        if (kind !== 'delete' && take(values, table.put)) return;
        const [hostId, brokerId] = values;
        if (typeof hostId === 'string' && typeof brokerId === 'string') table.remove(hostId, brokerId);
      },
      connected(is) {
        if (is && !isConnected) {
          if (!isFirst) onRegained();
          isFirst = false;
        }
        isConnected = is;
      },
      resubscribing() {},
    },
    log,
    ...rest,
  });
  return {
    run: signal => kept.run(signal),
    get isConnected() {
      return isConnected;
    },
  };
}
