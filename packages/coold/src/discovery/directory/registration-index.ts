/** The fields of a row of `service_registrations` that the directory needs (docs/contract.md §5). */
export interface Registration {
  readonly serviceId: string;
  readonly containerId: string;
  readonly name: string;
  readonly namespace: string;
}

/** Registrations by the names that they give their containers. */
export interface RegistrationIndex {
  readonly size: number;
  put(row: Registration): void;
  remove(serviceId: string, containerId: string): void;
  /** Returns the containers registered under a lower-case name. Some may be registered several times, or gone. */
  find(namespace: string, name: string): Iterable<string> | undefined;
  /** Whether anything is registered in the namespace. */
  hasNamespace(namespace: string): boolean;
}

export function createRegistrationIndex(): RegistrationIndex {
  const byKey = new Map<string, Registration>();
  /** Containers by key, by name, by namespace: looking up an unregistered name builds no key. */
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

/** Service ids are callers' free text, so the key marks where they end. */
function keyOf(serviceId: string, containerId: string): string {
  return `${serviceId}\0${containerId}`;
}
