import type { LeftOut, NamedAddress } from '../../discovery/directory/directory.ts';
import type { DnsDirectory } from './directory.ts';
import { labelsBelow, wireName } from './names.ts';
import { createRelativeNames } from './relative-names.ts';
import { readReverseName } from './reverse-names.ts';

/** The zone's content for a name (docs/contract.md §6). */
export type Holding =
  | { kind: 'outside' }
  /**
   * A name of a namespace without the zone, which the upstream is not asked for (see `createRelativeNames`), with its
   * containers, if any.
   */
  | { kind: 'relative'; endpoints?: readonly NamedAddress[] }
  /** The mesh is not loaded yet: to say that a name does not exist would be a guess. */
  | { kind: 'unknown' }
  | { kind: 'missing' }
  /** The name exists and has no address. */
  | { kind: 'empty' }
  /** The zone's own name. */
  | { kind: 'apex' }
  /** The reverse name of an address, with the names of its holders on the wire. */
  | { kind: 'pointers'; names: readonly string[] }
  /** The reverse name of a mesh address that no container has, or a name below a reverse name. */
  | { kind: 'no pointer' }
  | { kind: 'endpoints'; endpoints: readonly NamedAddress[] };

export interface Zone {
  /** Its name on the wire, as in `Query.name`. */
  readonly wire: string;
  /** @param name on the wire, in lower case */
  find(name: string): Holding;
  /** Returns the containers of a name that are not answered. @param name as in `find` */
  leftOut(name: string): LeftOut[];
}

/** The root's name, with which every name ends. */
const root = '\0';

const outside: Holding = { kind: 'outside' };
const relative: Holding = { kind: 'relative' };
const unknown: Holding = { kind: 'unknown' };
const missing: Holding = { kind: 'missing' };
const empty: Holding = { kind: 'empty' };
const apex: Holding = { kind: 'apex' };
const noPointer: Holding = { kind: 'no pointer' };
/** The most names for one address. */
const maxPointers = 16;

/** The zone of a directory. @param namespaces this host's, which exist even while no container runs in them */
export function createZone(options: {
  name: string;
  namespaces: readonly string[];
  directory: Pick<DnsDirectory, 'find' | 'bearers' | 'hasNamespace' | 'isLoaded' | 'leftOut'>;
}): Zone {
  const { name: zoneName, directory } = options;
  const namespaces = new Set(options.namespaces.map(namespace => namespace.toLowerCase()));
  const isRelative = createRelativeNames(options.namespaces);
  const wire = wireName(zoneName);

  function findReverse(name: string): Holding {
    const reverse = readReverseName(name);
    const bearers = reverse === undefined ? undefined : directory.bearers(reverse.address);
    if (reverse === undefined || bearers === undefined) return outside;
    if (!directory.isLoaded()) return unknown;
    if (bearers.length === 0 || reverse.isBelow) return noPointer;
    const names = bearers
      .slice(0, maxPointers)
      .map(each => wireName(`${each.name}.${each.namespace}.${zoneName}`));
    return { kind: 'pointers', names };
  }

  /** Answers `web.default` like `web.default.<zone>`: musl's resolver does not append the search domain. */
  function findRelative(name: string): Holding {
    const [first, second] = labelsBelow(name, root) ?? [];
    if (first === undefined || second === undefined) return relative;
    const endpoints = directory.find(second, first);
    if (endpoints === undefined) return directory.isLoaded() ? relative : unknown;
    return endpoints.length === 0 ? relative : { kind: 'relative', endpoints };
  }

  return {
    wire,
    leftOut(name) {
      const labels = labelsBelow(name, isRelative(name) ? root : wire);
      const [first, second] = labels ?? [];
      return labels?.length === 2 && first !== undefined && second !== undefined
        ? directory.leftOut(second, first)
        : [];
    },
    find(name) {
      const labels = labelsBelow(name, wire);
      if (labels === undefined) return isRelative(name) ? findRelative(name) : findReverse(name);
      const [first, second] = labels;
      if (first === undefined) return apex;
      // Not NXDOMAIN for a namespace, which would tell resolvers that nothing exists below it.
      if (second === undefined) {
        if (namespaces.has(first) || directory.hasNamespace(first)) return empty;
        return directory.isLoaded() ? missing : unknown;
      }
      if (labels.length > 2) return missing;
      const endpoints = directory.find(second, first);
      if (endpoints !== undefined) return endpoints.length === 0 ? empty : { kind: 'endpoints', endpoints };
      return directory.isLoaded() ? missing : unknown;
    },
  };
}
