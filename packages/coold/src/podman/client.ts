import { type AddressHolder, readAddressHolders } from './address-holders.ts';
import { type NetworkedContainer, readContainerList } from './answer.ts';
import { type ConnectionOptions, connectPodman } from './connection.ts';
import { type PodmanContainers, podmanContainers } from './containers.ts';
import { type PodmanHost, podmanHost } from './host.ts';
import { type PodmanImages, podmanImages } from './images.ts';
import { type PodmanLifecycle, podmanLifecycle } from './lifecycle.ts';
import { type ListedContainer, readListedContainers } from './listed-containers.ts';
import { type PodmanNetworks, podmanNetworks } from './networks.ts';
import { type PodmanVolumes, podmanVolumes } from './volumes.ts';

/** Calls to this host's Podman, grouped by noun. Every call rejects with a VerbError. */
export interface Podman {
  /** Returns every container, running or not, with its networks, in one request. */
  listContainers(signal: AbortSignal): Promise<NetworkedContainer[]>;
  /** Returns every container, running or not, by name, with everything that one request tells. */
  listed(signal: AbortSignal): Promise<ListedContainer[]>;
  /** Returns every container, running or not, with its labels and current addresses. */
  addressHolders(signal: AbortSignal): Promise<AddressHolder[]>;
  containers: PodmanContainers;
  images: PodmanImages;
  volumes: PodmanVolumes;
  networks: PodmanNetworks;
  host: PodmanHost;
  lifecycle: PodmanLifecycle;
}

export function createPodman(socketPath: string, options: ConnectionOptions = {}): Podman {
  const connection = connectPodman(socketPath, options);
  return {
    // Unlike libpod's list, the compatible list names the networks of a container in every state.
    listContainers: async signal =>
      readContainerList(
        await connection.compatible({ path: '/containers/json', query: { all: true } }, signal),
      ),
    listed: async signal =>
      readListedContainers(
        await connection.libpod({ path: '/containers/json', query: { all: true } }, signal),
      ),
    addressHolders: async signal =>
      readAddressHolders(
        await connection.compatible({ path: '/containers/json', query: { all: true } }, signal),
      ),
    containers: podmanContainers(connection),
    images: podmanImages(connection),
    volumes: podmanVolumes(connection),
    networks: podmanNetworks(connection),
    host: podmanHost(connection),
    lifecycle: podmanLifecycle(connection),
  };
}
