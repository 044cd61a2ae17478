/** A row of `service_registrations`, of which the directory needs no more (docs/contract.md §5). */
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
  /** Whether anything is registered in it. */
  hasNamespace(namespace: string): boolean;
}

export function createRegistrationIndex(): RegistrationIndex {
  const byKey = new Map<string, Registration>();
  /** Containers by key, by name, by namespace: a name that nobody registered is found out without making a text. */
  const byNamespace = new Map<string, Map<string, Map<string, string>>>();

  const remove = (key: string) => {
    const before = byKey.get(key);
    if (before === undefined) return;
    byKey.delete(key);
    const names = byNamespace.get(before.namespace);
    const name = before.name.toLowerCase();
    const containers = names?.get(name);
    containers?.delete(key);
    if (containers?.size === 0) names?.delete(name);
    if (names?.size === 0) byNamespace.delete(before.namespace);
  };
  return {
    get size() {
      return byKey.size;
    },
    put(row) {
      const key = keyOf(row.serviceId, row.containerId);
      remove(key);
      byKey.set(key, row);
      const name = row.name.toLowerCase();
      const names = byNamespace.get(row.namespace) ?? new Map<string, Map<string, string>>();
      byNamespace.set(row.namespace, names);
      const containers = names.get(name) ?? new Map<string, string>();
      names.set(name, containers);
      containers.set(key, row.containerId);
    },
    remove: (serviceId, containerId) => remove(keyOf(serviceId, containerId)),
    find: (namespace, name) => byNamespace.get(namespace)?.get(name)?.values(),
    hasNamespace: namespace => byNamespace.has(namespace),
  };
}

/** Service ids are callers' own text, so their end has to be told. */
function keyOf(serviceId: string, containerId: string): string {
  return `${serviceId}\0${containerId}`;
}
