import type { ServerType } from './answers.ts';

/** What to ask for; an undefined location leaves the choice to Hetzner. */
export interface Placement {
  serverType: string;
  location: string | undefined;
}

/** What a host needs to run the product and build with it, in GB. */
const leastMemory = 4;

/** Server types come and go, and what is sold may be out of stock: so many are tried, the cheapest first. */
const mostPlacements = 6;

/**
 * Where servers may be put and of which type, in the order to try. What is wished for is taken as it is; the rest is
 * chosen from what the API sells.
 *
 * @param architecture as the API names it: x86 or arm
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

/** How the API names the architecture that Node calls x64 or arm64. */
export function architectureOf(nodeArch: string): string {
  return nodeArch === 'arm64' ? 'arm' : 'x86';
}
