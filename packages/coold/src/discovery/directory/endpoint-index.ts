import { type Endpoint, isAnswerable, isDnsLabel, isSameEndpoint } from '../endpoint.ts';

/**
 * Rows by container, and the answerable ones by namespace and name. Made for a mesh of 50,000 rows: rows serve as
 * answers, and values that rows share are stored once.
 */
export interface EndpointIndex {
  readonly size: number;
  get(containerId: string): Endpoint | undefined;
  /** Replaces the row of a container. @returns false when nothing changed */
  put(row: Endpoint): boolean;
  /** @returns false when there was no such row */
  remove(containerId: string): boolean;
  /** Returns the answerable rows of a lower-case name; undefined when there is none. */
  find(namespace: string, name: string): readonly Endpoint[] | undefined;
  /** Returns the rows with an address, whatever else they say. */
  at(address: string): readonly Endpoint[];
  /** Whether the namespace contains any name. */
  hasNamespace(namespace: string): boolean;
  rows(): Iterable<Endpoint>;
  /** Rows by host. */
  hosts(): ReadonlyMap<string, number>;
  /** Judges every row again. @returns whether any row is answered now that was not, or the reverse */
  reconsider(): boolean;
  /** Makes lists immutable from now on: lists that were returned stay as they are, and changed ones are new. */
  publish(): void;
}

/** @param isLeftOut whether a row that is otherwise answerable is left out */
export function createEndpointIndex(isLeftOut: (row: Endpoint) => boolean = () => false): EndpointIndex {
  const byContainer = new Map<string, Endpoint>();
  const named = new NamedRows();
  const addressed = new AddressedRows();
  const perHost = new Map<string, number>();
  /** The containers whose rows have a name and are not found by it. */
  const leftOut = new Set<string>();
  const texts = new SharedTexts();

  const count = (host: string, by: 1 | -1) => {
    const rows = (perHost.get(host) ?? 0) + by;
    if (rows === 0) perHost.delete(host);
    else perHost.set(host, rows);
  };
  const show = (row: Endpoint) => {
    if (!hasName(row)) return;
    if (isLeftOut(row)) leftOut.add(row.containerId);
    else named.add(row);
  };
  const hide = (row: Endpoint) => {
    if (hasName(row) && !leftOut.delete(row.containerId)) named.remove(row);
  };

  return {
    get size() {
      return byContainer.size;
    },
    get: containerId => byContainer.get(containerId),
    put(given) {
      const row = texts.share(given);
      const before = byContainer.get(row.containerId);
      if (before !== undefined && isSameEndpoint(before, row)) return false;
      byContainer.set(row.containerId, row);
      count(row.hostMgmtIp, 1);
      if (before !== undefined) {
        count(before.hostMgmtIp, -1);
        hide(before);
        addressed.remove(before);
      }
      show(row);
      addressed.add(row);
      return true;
    },
    remove(containerId) {
      const before = byContainer.get(containerId);
      if (before === undefined) return false;
      byContainer.delete(containerId);
      count(before.hostMgmtIp, -1);
      hide(before);
      addressed.remove(before);
      return true;
    },
    find: (namespace, name) => named.byNamespace.get(namespace)?.get(name),
    at: address => addressed.at(address),
    hasNamespace: namespace => named.byNamespace.has(namespace),
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
      named.isPublished = true;
    },
  };
}

function hasName(row: Endpoint): boolean {
  return isAnswerable(row) && isDnsLabel(row.name);
}

/** Rows by namespace and name, lower-case. */
class NamedRows {
  readonly byNamespace = new Map<string, Map<string, Endpoint[]>>();
  /** Whether lists were returned: these stay as they are, and changed ones are new. */
  isPublished = false;

  add(row: Endpoint): void {
    const key = row.name.toLowerCase();
    const names = this.byNamespace.get(row.namespace) ?? new Map<string, Endpoint[]>();
    this.byNamespace.set(row.namespace, names);
    const listed = names.get(key);
    if (listed === undefined) names.set(key, [row]);
    else if (this.isPublished) names.set(key, [...listed, row]);
    else listed.push(row);
  }

  remove(row: Endpoint): void {
    const key = row.name.toLowerCase();
    const names = this.byNamespace.get(row.namespace);
    const rest = names?.get(key)?.filter(({ containerId }) => containerId !== row.containerId);
    if (names === undefined || rest === undefined) return;
    if (rest.length > 0) names.set(key, rest);
    else names.delete(key);
    if (names.size === 0) this.byNamespace.delete(row.namespace);
  }
}

/** Rows by address. Nearly every address has one row, and a list for each would cost as much as the rows. */
class AddressedRows {
  readonly #rows = new Map<string, Endpoint | readonly Endpoint[]>();

  at(address: string): readonly Endpoint[] {
    const found = this.#rows.get(address) ?? [];
    return 'containerId' in found ? [found] : found;
  }

  add(row: Endpoint): void {
    if (row.address !== '') this.#set(row.address, [...this.at(row.address), row]);
  }

  remove({ address, containerId }: Endpoint): void {
    const rest = this.at(address).filter(row => row.containerId !== containerId);
    this.#set(address, rest);
  }

  #set(address: string, rows: readonly Endpoint[]): void {
    const [only] = rows;
    if (only === undefined) this.#rows.delete(address);
    else this.#rows.set(address, rows.length === 1 ? only : rows);
  }
}

/** Stores one copy of each text that thousands of rows share. */
class SharedTexts {
  readonly #known = new Map<string, string>();

  /** Returns the same row with shared texts. */
  share(row: Endpoint): Endpoint {
    return {
      containerId: row.containerId,
      address: row.address,
      hostMgmtIp: this.#once(row.hostMgmtIp),
      name: row.name,
      namespace: this.#once(row.namespace),
      state: this.#once(row.state),
      health: this.#once(row.health),
    };
  }

  #once(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    this.#known.set(text, text);
    return text;
  }
}
