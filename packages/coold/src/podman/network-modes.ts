import { object } from './shape.ts';

/** How Podman calls a way to have no network of its own; it lets nobody make a network of that name. */
const modes: ReadonlySet<string> = new Set(['none', 'host', 'pasta', 'slirp4netns']);

/** Whether it is the name of a network, and not of a way to have none. */
export const isNetwork = (name: string): boolean => !modes.has(name);

/**
 * The networks of `NetworkSettings.Networks`, by name. Podman 5 lists the mode of a container that has no network as if it
 * were one; Podman 4 lists nothing then.
 *
 * @throws VerbError 502
 */
export function networksOf(settings: unknown, at: string): [name: string, network: unknown][] {
  return Object.entries(object(settings ?? {}, at)).filter(([name]) => isNetwork(name));
}
