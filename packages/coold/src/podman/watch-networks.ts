import type { PodmanNetwork, PodmanNetworks } from './networks.ts';

/**
 * Wraps the calls for networks. Whenever networks are listed, created or removed, `onNetworks` is called with all
 * existing ones. A list begun before a change is not reported, because it may lack the change.
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
