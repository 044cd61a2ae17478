import { type AddressHolder, readAddressHolders } from './address-holders.ts';
import { type NetworkedContainer, readContainerList } from './answer.ts';
import { connectPodman } from './connection.ts';
import { type PodmanContainers, podmanContainers } from './containers.ts';
import { type PodmanHost, podmanHost } from './host.ts';
import { type PodmanImages, podmanImages } from './images.ts';
import { type PodmanLifecycle, podmanLifecycle } from './lifecycle.ts';
import { type ListedContainer, readListedContainers } from './listed-containers.ts';
import { type PodmanNetworks, podmanNetworks } from './networks.ts';
import { type PodmanVolumes, podmanVolumes } from './volumes.ts';

/** What coold asks of this host's Podman, by noun. Every call rejects with a VerbError. */
export interface Podman {
  /** Every container, running or not, with its networks: one request. */
  listContainers(signal: AbortSignal): Promise<NetworkedContainer[]>;
  /** Every container, running or not, by name, with all that one request to Podman tells of it. */
  listed(signal: AbortSignal): Promise<ListedContainer[]>;
  /** Every container, running or not, with its labels and the addresses it has now. */
  addressHolders(signal: AbortSignal): Promise<AddressHolder[]>;
  containers: PodmanContainers;
  images: PodmanImages;
  volumes: PodmanVolumes;
  networks: PodmanNetworks;
  host: PodmanHost;
  lifecycle: PodmanLifecycle;
}

/** @param options.timeoutMs of every call that names none itself */
export function createPodman(socketPath: string, options: { timeoutMs?: number } = {}): Podman {
  const connection = connectPodman(socketPath, options);
  return {
    // The compatible list has what libpod's lacks here: it names the networks of a container whatever its state.
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
