import { type Endpoint, isAnswerable } from '../endpoint.ts';
import { createEndpointIndex, type EndpointIndex } from './endpoint-index.ts';
import { createRegistrationIndex, type RegistrationIndex } from './registration-index.ts';

/** A list, and the version of the content at which it was last checked. */
interface Union {
  version: number;
  list: readonly Endpoint[];
}

/** The rows and registrations that the directory answers from, and what is derived from them once per version. */
export class DirectoryContent {
  readonly #isLeftOut: (row: Endpoint) => boolean;
  readonly #watchers: (() => void)[] = [];
  readonly #unions = new Map<string, Union>();
  #addresses: { version: number; set: ReadonlySet<string> } | undefined;
  endpoints: EndpointIndex;
  registrations: RegistrationIndex = createRegistrationIndex();
  readonly isLoaded = { endpoints: false, registrations: false };
  /** Increases whenever any answer may differ. */
  version = 0;

  /** @param isLeftOut whether a row that is otherwise answerable is left out */
  constructor(isLeftOut: (row: Endpoint) => boolean) {
    this.#isLeftOut = isLeftOut;
    this.endpoints = this.emptyEndpoints();
    this.endpoints.publish();
  }

  /** Returns an index for the rows of a load, judged like the rows of the content. */
  emptyEndpoints(): EndpointIndex {
    return createEndpointIndex(this.#isLeftOut);
  }

  /** Calls back at every later version. */
  watch(onChange: () => void): void {
    this.#watchers.push(onChange);
  }

  changed(): void {
    this.version += 1;
    for (const onChange of this.#watchers) onChange();
  }

  /** Call after a change of registrations, or of which rows answer. */
  changedUnions(): void {
    this.#unions.clear();
    this.changed();
  }

  /**
   * Judges every row again. The version increases even when no container's name changes, because registered and reverse
   * names may.
   */
  reconsider(): void {
    if (this.endpoints.reconsider()) this.changedUnions();
    else this.changed();
  }

  /**
   * Returns the rows that answer for a registered name, whatever the names of their containers. undefined: no row does.
   * The same list is returned while its content is the same.
   *
   * @param containers those that are registered under the name
   */
  union(namespace: string, name: string, containers: Iterable<string>): readonly Endpoint[] | undefined {
    const key = `${name}.${namespace}`;
    const known = this.#unions.get(key);
    if (known?.version === this.version) return known.list;
    const found = new Set(this.endpoints.find(namespace, name));
    for (const id of containers) {
      const row = this.endpoints.get(id);
      if (row !== undefined && isAnswerable(row) && !this.#isLeftOut(row)) found.add(row);
    }
    if (found.size === 0) {
      this.#unions.delete(key);
      return undefined;
    }
    const isSame =
      known !== undefined && known.list.length === found.size && known.list.every(row => found.has(row));
    const list = isSame ? known.list : [...found];
    this.#unions.set(key, { version: this.version, list });
    return list;
  }

  /** Returns every container's address; undefined until the rows were loaded. */
  addresses(): ReadonlySet<string> | undefined {
    if (!this.isLoaded.endpoints) return undefined;
    if (this.#addresses?.version !== this.version) {
      const set = new Set<string>();
      for (const { address } of this.endpoints.rows()) if (address !== '') set.add(address);
      this.#addresses = { version: this.version, set };
    }
    return this.#addresses.set;
  }
}
