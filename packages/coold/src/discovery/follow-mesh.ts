import {
  type Corrosion,
  type KeptSubscription,
  keepSubscription,
  type SubscriptionOptions,
  type SubscriptionReader,
} from '@coold/corrosion';
import type { Logger, Task } from '@coold/runtime';
import type { FilledDirectory, Filling } from './directory.ts';
import { endpointColumns, everyEndpoint, readEndpoint } from './endpoint-table.ts';
import { everyRegistration, readRegistration, registrationColumns } from './registrations.ts';

/** Fills the directory from Corrosion, one subscription a table. */
export interface MeshFollower {
  endpoints: Task;
  registrations: Task;
  /** Loads everything anew, because what the directory holds is in doubt. */
  restart(why: string): void;
}

export interface FollowMeshOptions extends Pick<SubscriptionOptions, 'backoff' | 'now'> {
  log: Logger;
  /** Every container's row was loaded again: the agent may be another one, or its database. */
  onReload(): void;
}

export function followMesh(
  corrosion: Corrosion,
  filled: FilledDirectory,
  { log, onReload, ...rest }: FollowMeshOptions,
): MeshFollower {
  let isFirst = true;
  const loaded = () => {
    if (!isFirst) onReload();
    isFirst = false;
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
    reader: {
      ...fill,
      finish() {
        fill.finish();
        loaded();
      },
    },
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

/** Rows as the directory takes them. One that cannot be read is left out: it must not cost the mesh all the others. */
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
      // Once a load: whoever writes such rows may write thousands.
      log[isSaid ? 'debug' : 'warn']({ why: (error as Error).message, key }, 'a row is left out');
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
    resubscribing: () => filling.resubscribed(),
  };
}
