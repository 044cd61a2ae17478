import type { LeftOut, NamedAddress } from '../discovery/directory.ts';

/** What DNS needs of the directory of the mesh; whoever has these can be asked. */
export interface DnsDirectory {
  /**
   * The endpoints of a name; undefined where it does not exist. The same list is never changed: what differs is another.
   *
   * @param name lower-case, as the namespace
   */
  find(namespace: string, name: string): readonly NamedAddress[] | undefined;
  /** The containers that bear a name and are not answered; for people. */
  leftOut(namespace: string, name: string): LeftOut[];
  /** Whether any name lies in a namespace, lower-case. */
  hasNamespace(namespace: string): boolean;
  /** Calls back, from now on, whenever any of this may differ. */
  watch(onChange: () => void): void;
  /** Whether the mesh was read once. */
  isLoaded(): boolean;
  stats(): {
    rows: number;
    /** For how long the rows may have been out of date, in ms. */
    ageMs: number;
    connected: boolean;
    resubscriptions: number;
  };
}
