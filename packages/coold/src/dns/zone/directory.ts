import type { Bearer, LeftOut, NamedAddress } from '../../discovery/directory/directory.ts';

/** The part of the mesh's directory that DNS needs. */
export interface DnsDirectory {
  /**
   * Returns the endpoints of a name; undefined when it does not exist. Lists are immutable: different content means a
   * different list.
   *
   * @param name lower-case, like the namespace
   */
  find(namespace: string, name: string): readonly NamedAddress[] | undefined;
  /** Returns the containers of a name that are not answered, for people. */
  leftOut(namespace: string, name: string): LeftOut[];
  /**
   * Returns the containers with an address; empty for a mesh address that none has; undefined for an address outside
   * the mesh.
   */
  bearers(address: string): readonly Bearer[] | undefined;
  /** Whether a lower-case namespace contains any name. */
  hasNamespace(namespace: string): boolean;
  /** Calls back whenever any of this may have changed. */
  watch(onChange: () => void): void;
  /** Whether the mesh was loaded once. */
  isLoaded(): boolean;
  stats(): {
    rows: number;
    /** How long the rows may have been out of date, in ms. */
    ageMs: number;
    connected: boolean;
    resubscriptions: number;
  };
}
