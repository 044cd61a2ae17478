/** A row of `service_registrations`, of which the directory needs no more (CONTRACT §5). */
export interface Registration {
  readonly serviceId: string;
  readonly containerId: string;
  readonly name: string;
  readonly namespace: string;
}

/** Registrations by the name that they give their containers. */
export interface RegistrationIndex {
  readonly size: number;
  put(row: Registration): void;
  remove(serviceId: string, containerId: string): void;
  /** The containers registered under a name, lower-case; some may be registered several times, or gone. */
  find(namespace: string, name: string): Iterable<string> | undefined;
}

export function createRegistrationIndex(): RegistrationIndex {
  const byKey = new Map<string, Registration>();
  const byName = new Map<string, Map<string, string>>();
  const nameOf = ({ namespace, name }: Registration) => `${name.toLowerCase()}.${namespace}`;

  const remove = (key: string) => {
    const before = byKey.get(key);
    if (before === undefined) return;
    byKey.delete(key);
    const name = nameOf(before);
    const containers = byName.get(name);
    containers?.delete(key);
    if (containers?.size === 0) byName.delete(name);
  };
  return {
    get size() {
      return byKey.size;
    },
    put(row) {
      const key = keyOf(row.serviceId, row.containerId);
      remove(key);
      byKey.set(key, row);
      const name = nameOf(row);
      const containers = byName.get(name);
      if (containers === undefined) byName.set(name, new Map([[key, row.containerId]]));
      else containers.set(key, row.containerId);
    },
    remove: (serviceId, containerId) => remove(keyOf(serviceId, containerId)),
    find: (namespace, name) => byName.get(`${name}.${namespace}`)?.values(),
  };
}

/** Service ids are callers' own text, so their end has to be told. */
function keyOf(serviceId: string, containerId: string): string {
  return `${serviceId}\0${containerId}`;
}
