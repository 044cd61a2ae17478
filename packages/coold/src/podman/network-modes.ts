import { object } from './shape.ts';

/** The network modes of Podman that are not networks. Podman refuses to create a network with such a name. */
const modes: ReadonlySet<string> = new Set(['none', 'host', 'pasta', 'slirp4netns']);

/** Whether a text names a network, and not a network mode such as `host` or `none`. */
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
