import {
  type Corrosion,
  type KeptSubscription,
  keepSubscription,
  type SubscriptionOptions,
  type SubscriptionReader,
} from '@coold/corrosion';
import { errorMessage, type Logger, type Task } from '@coold/runtime';
import type { FilledDirectory } from '../directory/directory.ts';
import type { Filling } from '../directory/filling.ts';
import { endpointColumns, everyEndpoint, readEndpoint } from './endpoint-table.ts';
import { everyRegistration, readRegistration, registrationColumns } from './registrations.ts';

/** Fills the directory from Corrosion, one subscription a table. */
export interface MeshFollower {
  endpoints: Task;
  registrations: Task;
  /** Loads everything again, because the directory's content is in doubt. */
  restart(why: string): void;
}

export interface FollowMeshOptions extends Pick<SubscriptionOptions, 'backoff' | 'now'> {
  log: Logger;
  /**
   * Changes of containers are reported again after a break: the agent or its database may be another one. A resumed
   * subscription does not show that, because the agent keeps its rows in a file of their own.
   */
  onRegained(): void;
}

export function followMesh(
  corrosion: Corrosion,
  filled: FilledDirectory,
  { log, onRegained, ...rest }: FollowMeshOptions,
): MeshFollower {
  let isFirst = true;
  let isConnected = false;
  const connected = (isNow: boolean) => {
    filled.endpoints.connected(isNow);
    if (isNow && !isConnected) {
      if (!isFirst) onRegained();
      isFirst = false;
    }
    isConnected = isNow;
  };
  const fill = reader(
    filled.endpoints,
    readEndpoint,
    ([id]) => (typeof id === 'string' ? id : undefined),
    log,
  );
  const endpoints = keepSubscription(corrosion, {
    name: 'service_endpoints',
    statement: everyEndpoint,
    columns: endpointColumns,
    reader: { ...fill, connected },
    log,
    ...rest,
  });
  const registrations = keepSubscription(corrosion, {
    name: 'service_registrations',
    statement: everyRegistration,
    columns: registrationColumns,
    optional: 'services cannot be registered',
    reader: reader(
      filled.registrations,
      readRegistration,
      ([serviceId, containerId]) =>
        typeof serviceId === 'string' && typeof containerId === 'string'
          ? { serviceId, containerId }
          : undefined,
      log,
    ),
    log,
    ...rest,
  });
  const task =
    (kept: KeptSubscription): Task =>
    signal =>
      kept.run(signal);
  return {
    endpoints: task(endpoints),
    registrations: task(registrations),
    restart(why) {
      endpoints.restart(why);
      registrations.restart(why);
    },
  };
}

/**
 * Parses rows for the directory. A row that cannot be parsed is left out, so that it does not cost the mesh all others.
 */
function reader<Row, Key>(
  filling: Filling<Row, Key>,
  read: (values: readonly unknown[]) => Row,
  keyOf: (values: readonly unknown[]) => Key | undefined,
  log: Logger,
): SubscriptionReader {
  let isSaid = false;
  const attempt = (values: unknown[]): Row | undefined => {
    try {
      return read(values);
    } catch (error) {
      const key = values.slice(0, 2).map(value => String(value).slice(0, 100));
      // Logged once per load: a program that writes such rows may write thousands.
      log[isSaid ? 'debug' : 'warn']({ why: errorMessage(error), key }, 'a row is left out');
      isSaid = true;
      return undefined;
    }
  };
  return {
    begin() {
      isSaid = false;
      filling.begin();
    },
    row(values) {
      const row = attempt(values);
      if (row !== undefined) filling.load(row);
    },
    finish: () => filling.finish(),
    change(kind, values) {
      const row = kind === 'delete' ? undefined : attempt(values);
      if (row !== undefined) return filling.put(row);
      const key = keyOf(values);
      if (key !== undefined) filling.remove(key);
    },
    connected: isConnected => filling.connected(isConnected),
    resubscribing: why => filling.resubscribed(why),
  };
}
