import { type Failure, failure } from '@coold/errors';
/** What placement looks at in a host. */
export interface BuilderHost {
  hostId: string;
  capabilities: readonly string[];
  /** Builds it runs at once. */
  builderCapacity: number;
  schemaMax: number;
}

export type Placement<H> =
  | { kind: 'placed'; host: H }
  /** Its texts are docs/contract.md §2's. */
  | ({ kind: 'refused' } & Failure);

export interface PlacementQuestion<H> {
  hosts: readonly H[];
  /** A host that the caller names: it or none. */
  pin: string | undefined;
  /** What is asked for, as the build's type, and the lowest schema that a host must speak for it. */
  type: string;
  schema: number;
  /** Builds that a host runs or has queued. */
  load(hostId: string): number;
}

/** How the builds that a host has share its places, as far as the broker knows. */
export function buildPlaces({ builderCapacity }: Pick<BuilderHost, 'builderCapacity'>, load: number) {
  const running = Math.min(load, builderCapacity);
  return { running, queued: load - running };
}

/**
 * Where a build goes: to the pinned host; else to the one with the most free places, so that all share the work, but to none
 * beyond its share of all builds by its places: a host that claims many does not draw what others could do. When all are full
 * it waits where fewest wait. Ties go to the host id that sorts first: asked again, it answers the same.
 */
export function placeBuild<H extends BuilderHost>({
  hosts,
  pin,
  type,
  schema,
  load,
}: PlacementQuestion<H>): Placement<H> {
  const builders = hosts.filter(
    ({ hostId, capabilities }) => (pin === undefined || hostId === pin) && capabilities.includes('builder'),
  );
  const [any] = builders;
  if (any === undefined) {
    const message =
      pin === undefined ? 'no builder-capable host connected' : 'host has no builder capability';
    return { kind: 'refused', ...failure('no_builder', message) };
  }
  const candidates = builders
    .filter(({ schemaMax }) => schemaMax >= schema)
    .map(candidate => ({ candidate, load: load(candidate.hostId) }));
  const builds = candidates.reduce((sum, candidate) => sum + candidate.load, 1);
  const places = candidates.reduce((sum, { candidate }) => sum + candidate.builderCapacity, 0);
  const share = ({ builderCapacity }: H) => Math.ceil((builds * builderCapacity) / places);
  const [host] = candidates
    // One that does not say how many places it has gets what no other has room for.
    .filter(({ candidate, load: has }) => candidate.builderCapacity === 0 || has < share(candidate))
    .map(({ candidate, load: has }) => ({ candidate, free: candidate.builderCapacity - has }))
    .sort((a, b) => b.free - a.free || (a.candidate.hostId < b.candidate.hostId ? -1 : 1))
    .map(({ candidate }) => candidate);
  if (host !== undefined) return { kind: 'placed', host };
  const highest = Math.max(...builders.map(({ schemaMax }) => schemaMax));
  const who = pin === undefined ? 'the connected builders speak' : `host ${pin} speaks`;
  const message = `${type} needs schema ${schema}, ${who} up to ${highest}`;
  return { kind: 'refused', ...failure('host_too_old', message) };
}
