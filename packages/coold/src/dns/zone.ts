import type { LeftOut, NamedAddress } from '../discovery/directory.ts';
import type { DnsDirectory } from './directory.ts';
import { wireName } from './names.ts';
import { createRelativeNames } from './relative-names.ts';

/** What the zone holds of a name (docs/contract.md §6). */
export type Holding =
  | { kind: 'outside' }
  /** A name of a namespace without the zone, which the upstream is not asked for: see `createRelativeNames`. */
  | { kind: 'relative' }
  /** Nothing is known of the mesh yet: to say that a name does not exist would be a guess. */
  | { kind: 'unknown' }
  | { kind: 'missing' }
  /** The name exists, without an address of its own. */
  | { kind: 'empty' }
  | { kind: 'endpoints'; endpoints: readonly NamedAddress[] };

export interface Zone {
  /** Its name on the wire, as `Query.name`. */
  readonly wire: string;
  /** @param name on the wire, in lower case */
  find(name: string): Holding;
  /** The containers that bear a name and are not answered. @param name as of `find` */
  leftOut(name: string): LeftOut[];
}

const outside: Holding = { kind: 'outside' };
const relative: Holding = { kind: 'relative' };
const unknown: Holding = { kind: 'unknown' };
const missing: Holding = { kind: 'missing' };
const empty: Holding = { kind: 'empty' };

/** The zone over a directory. @param namespaces those that exist although nothing may run in them */
export function createZone(options: {
  name: string;
  namespaces: readonly string[];
  directory: Pick<DnsDirectory, 'find' | 'hasNamespace' | 'isLoaded' | 'leftOut'>;
}): Zone {
  const { name: zoneName, directory } = options;
  const namespaces = new Set(options.namespaces.map(namespace => namespace.toLowerCase()));
  const isRelative = createRelativeNames(options.namespaces);
  const wire = wireName(zoneName);
  return {
    wire,
    leftOut(name) {
      const labels = labelsBelow(name, wire);
      const [first, second] = labels ?? [];
      return labels?.length === 2 && first !== undefined && second !== undefined
        ? directory.leftOut(second, first)
        : [];
    },
    find(name) {
      const labels = labelsBelow(name, wire);
      if (labels === undefined) return isRelative(name) ? relative : outside;
      const [first, second] = labels;
      if (first === undefined) return empty;
      // Not NXDOMAIN for a namespace: it would tell resolvers that nothing lies below.
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

/** Whether a name is the zone's or one below it; both on the wire and in lower case. */
export function isInZone(name: string, zone: string): boolean {
  return labelsBelow(name, zone) !== undefined;
}

/** The labels of a name in front of the zone's own; undefined: it is not in the zone. */
function labelsBelow(name: string, zone: string): string[] | undefined {
  if (!name.endsWith(zone)) return undefined;
  const end = name.length - zone.length;
  const labels: string[] = [];
  let at = 0;
  while (at < end) {
    const next = at + 1 + name.charCodeAt(at);
    labels.push(name.slice(at + 1, next));
    at = next;
  }
  // What looks like the zone may be the inside of a label.
  return at === end ? labels : undefined;
}
