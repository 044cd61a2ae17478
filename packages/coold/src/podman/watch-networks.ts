import type { PodmanNetwork, PodmanNetworks } from './networks.ts';

/**
 * The same networks, for callers; and whenever they are listed, created or removed, `onNetworks` is told all that there are
 * now. A list that was begun before a change, and so may lack it, is not told.
 */
export function watchNetworks(
  networks: PodmanNetworks,
  onNetworks: (networks: readonly PodmanNetwork[]) => void,
): PodmanNetworks {
  let known: readonly PodmanNetwork[] = [];
  let changes = 0;
  const tell = (now: readonly PodmanNetwork[]) => {
    known = now;
    onNetworks(now);
  };
  return {
    async list(signal) {
      const before = changes;
      const listed = await networks.list(signal);
      if (changes === before) tell(listed);
      return listed;
    },
    async create(spec, signal) {
      const created = await networks.create(spec, signal);
      changes += 1;
      tell([...known.filter(({ name }) => name !== created.name), created]);
      return created;
    },
    async remove(name, signal) {
      await networks.remove(name, signal);
      changes += 1;
      tell(known.filter(network => network.name !== name));
    },
  };
}
