import type { ServerType } from './answers.ts';

/** A location and server type to request; an undefined location leaves the choice to Hetzner. */
export interface Placement {
  serverType: string;
  location: string | undefined;
}

/** Memory that a host needs to run the product and build with it, in GB. */
const leastMemory = 4;

/** A server type may be out of stock: this many placements are tried, the cheapest first. */
const mostPlacements = 6;

/**
 * Returns the locations and server types to try, in order. Given values are used unchecked; the others are chosen from
 * what the API sells.
 *
 * @param architecture in the API's terms: x86 or arm
 */
export function choosePlacements(
  types: readonly ServerType[],
  wish: { serverType: string | undefined; location: string | undefined; architecture: string },
): Placement[] {
  const { serverType, location, architecture } = wish;
  if (serverType !== undefined) return [{ serverType, location }];
  return types
    .filter(type => type.architecture === architecture && type.memory >= leastMemory)
    .flatMap(type => type.offers.map(offer => ({ ...offer, serverType: type.name })))
    .filter(offer => location === undefined || offer.location === location)
    .sort((a, b) => a.hourlyPrice - b.hourlyPrice)
    .slice(0, mostPlacements)
    .map(offer => ({ serverType: offer.serverType, location: offer.location }));
}

/** Returns the API's name for an architecture that Node calls x64 or arm64. */
export function architectureOf(nodeArch: string): string {
  return nodeArch === 'arm64' ? 'arm' : 'x86';
}
