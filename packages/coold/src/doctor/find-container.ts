import type { Namespace } from '../discovery/namespaces.ts';
import type { Podman } from '../podman/client.ts';
import { servedNetworks } from '../verbs/network/network-dns.ts';
import type { AskedContainer } from './container-dns.ts';

/**
 * Returns a running container on a network where coold answers DNS; undefined when there is none.
 *
 * @throws VerbError when Podman does not answer
 */
export async function findContainer(
  podman: Pick<Podman, 'listed' | 'containers' | 'networks'>,
  namespaces: readonly Namespace[],
  signal: AbortSignal,
): Promise<AskedContainer | undefined> {
  const [containers, networks] = await Promise.all([podman.listed(signal), podman.networks.list(signal)]);
  const gateways = new Map([
    ...namespaces
      .filter(({ gateway }) => gateway !== '0.0.0.0')
      .map(one => [one.network, one.gateway] as const),
    ...servedNetworks(networks, namespaces).map(one => [one.network, one.gateway] as const),
  ]);
  for (const container of containers) {
    const network = container.networks.find(name => gateways.has(name));
    const gateway = network === undefined ? undefined : gateways.get(network);
    if (container.state !== 'running' || gateway === undefined) continue;
    const { State } = await podman.containers.inspect(container.id, signal);
    const pid = typeof State === 'object' && State !== null && 'Pid' in State ? State.Pid : undefined;
    // It may have ended meanwhile.
    if (typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 1)
      return { name: container.name, pid, gateway };
  }
  return undefined;
}
