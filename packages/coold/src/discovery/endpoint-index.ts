import { type Endpoint, isAnswerable, isDnsLabel, isSameEndpoint } from './endpoint.ts';

/**
 * Rows by container, and the answerable ones by namespace and name. Made for a mesh of 50,000 rows: rows serve as the
 * answers themselves, and what few values all rows share is kept once.
 */
export interface EndpointIndex {
  readonly size: number;
  get(containerId: string): Endpoint | undefined;
  /** Replaces the row of that container. @returns false when it says what the one before said */
  put(row: Endpoint): boolean;
  /** @returns false when there was none */
  remove(containerId: string): boolean;
  /** The answerable rows of a name, lower-case; undefined when there is none. */
  find(namespace: string, name: string): readonly Endpoint[] | undefined;
  /** Whether any name is found in it. */
  hasNamespace(namespace: string): boolean;
  rows(): Iterable<Endpoint>;
  /** Rows by host. */
  hosts(): ReadonlyMap<string, number>;
  /** Judges every row anew by what is left out. @returns whether any row is answered that was not, or the reverse */
  reconsider(): boolean;
  /** From now on lists that were handed out are left as they are, and changed ones are new. */
  publish(): void;
}

/** @param isLeftOut of a row that may answer by itself: whether it is left out for another reason */
export function createEndpointIndex(isLeftOut: (row: Endpoint) => boolean = () => false): EndpointIndex {
  const byContainer = new Map<string, Endpoint>();
  const byName = new Map<string, Map<string, Endpoint[]>>();
  const perHost = new Map<string, number>();
  const shared = new Map<string, string>();
  let isPublished = false;

  /** One copy of a text that thousands of rows have in common. */
  const once = (text: string) => {
    const known = shared.get(text);
    if (known !== undefined) return known;
    shared.set(text, text);
    return text;
  };
  const count = (host: string, by: 1 | -1) => {
    const rows = (perHost.get(host) ?? 0) + by;
    if (rows === 0) perHost.delete(host);
    else perHost.set(host, rows);
  };
  const name = (row: Endpoint) => {
    const key = row.name.toLowerCase();
    const names = byName.get(row.namespace) ?? new Map<string, Endpoint[]>();
    byName.set(row.namespace, names);
    const listed = names.get(key);
    if (listed === undefined) names.set(key, [row]);
    else if (isPublished) names.set(key, [...listed, row]);
    else listed.push(row);
  };
  const unname = (row: Endpoint) => {
    const key = row.name.toLowerCase();
    const names = byName.get(row.namespace);
    const rest = names?.get(key)?.filter(({ containerId }) => containerId !== row.containerId);
    if (names === undefined || rest === undefined) return;
    if (rest.length > 0) names.set(key, rest);
    else names.delete(key);
    if (names.size === 0) byName.delete(row.namespace);
  };
  const hasName = (row: Endpoint) => isAnswerable(row) && isDnsLabel(row.name);
  /** Those that have a name and are not found by it. */
  const leftOut = new Set<string>();
  const show = (row: Endpoint) => {
    if (!hasName(row)) return;
    if (isLeftOut(row)) leftOut.add(row.containerId);
    else name(row);
  };
  const hide = (row: Endpoint) => {
    if (hasName(row) && !leftOut.delete(row.containerId)) unname(row);
  };

  return {
    get size() {
      return byContainer.size;
    },
    get: containerId => byContainer.get(containerId),
    put(given) {
      const row: Endpoint = {
        containerId: given.containerId,
        address: given.address,
        hostMgmtIp: once(given.hostMgmtIp),
        name: given.name,
        namespace: once(given.namespace),
        state: once(given.state),
        health: once(given.health),
      };
      const before = byContainer.get(row.containerId);
      if (before !== undefined && isSameEndpoint(before, row)) return false;
      byContainer.set(row.containerId, row);
      count(row.hostMgmtIp, 1);
      if (before !== undefined) count(before.hostMgmtIp, -1);
      if (before !== undefined) hide(before);
      show(row);
      return true;
    },
    remove(containerId) {
      const before = byContainer.get(containerId);
      if (before === undefined) return false;
      byContainer.delete(containerId);
      count(before.hostMgmtIp, -1);
      hide(before);
      return true;
    },
    find: (namespace, key) => byName.get(namespace)?.get(key),
    hasNamespace: namespace => byName.has(namespace),
    rows: () => byContainer.values(),
    hosts: () => perHost,
    reconsider() {
      let isChanged = false;
      for (const row of byContainer.values()) {
        if (!hasName(row) || isLeftOut(row) === leftOut.has(row.containerId)) continue;
        hide(row);
        show(row);
        isChanged = true;
      }
      return isChanged;
    },
    publish() {
      isPublished = true;
    },
  };
}
