import { type Failure, failure } from '@coold/errors';
/** The properties of a host that placement needs. */
export interface BuilderHost {
  hostId: string;
  capabilities: readonly string[];
  /** How many builds it runs at once. */
  builderCapacity: number;
  schemaMax: number;
}

export type Placement<H> =
  | { kind: 'placed'; host: H }
  /** With the texts of docs/contract.md §2. */
  | ({ kind: 'refused' } & Failure);

export interface PlacementQuestion<H> {
  hosts: readonly H[];
  /** The only host that may get the build, when the caller names one. */
  pin: string | undefined;
  /** The build's type, and the lowest schema that a host must speak for it. */
  type: string;
  schema: number;
  /** Returns how many builds a host runs or has queued. */
  load(hostId: string): number;
}

/** Returns how a host's builds use its places, as far as the broker knows. */
export function buildPlaces({ builderCapacity }: Pick<BuilderHost, 'builderCapacity'>, load: number) {
  const running = Math.min(load, builderCapacity);
  return { running, queued: load - running };
}

/**
 * Chooses the host of a build: the pinned one; else the one with the most free places, but none beyond its share of all
 * builds by its places, so that a host that claims many places does not draw all work. When all are full, the shortest
 * queue wins. Ties go to the host id that sorts first, so a repeated question has the same answer.
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
    // A host that does not report its places gets a build only when no other has room.
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
