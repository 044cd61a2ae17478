import { posix } from 'node:path';
import { VerbError } from '@coold/errors';
import type { ContainersCreateRequest } from '@coold/proto';
import type { Podman } from '../../podman/client.ts';
import { mountsOf } from '../../podman/container-files.ts';
import { PodmanStatusError } from '../../podman/failure.ts';
import type { PodmanNetwork } from '../../podman/networks.ts';
import type { MeshRanges } from '../network/mesh-ranges.ts';
import { type MeshNames, networkDns } from '../network/network-dns.ts';
import { checkInside, isManaged, meshAddresses, namedNetworks, withAddresses } from './container-networks.ts';
import { type ContainerSpec, containerSpec } from './container-spec.ts';
import { denyHostPorts, type HostPort } from './host-ports.ts';
import { denyImage, labelsAgainst } from './image-demands.ts';
import type { MountSources } from './mount-sources.ts';
import { denyKernelTargets, filesOf } from './mount-targets.ts';
import type { AddressPins } from './pin-addresses.ts';

/** What this host allows new containers, and gives them. */
export interface CreationPolicy {
  sources: MountSources;
  mesh: MeshNames;
  pins: AddressPins;
  /** Returns the ports of this host that serve the mesh. */
  hostPorts(signal: AbortSignal): Promise<readonly HostPort[]>;
  /** Returns where the rest of the mesh is. */
  meshRanges(): Promise<MeshRanges>;
}

/** How long the removal of a refused container may take, in ms. */
const discardTimeoutMs = 30_000;

/**
 * Creates a container as requested, if this host allows it.
 *
 * @returns its id
 * @throws VerbError naming the refused field
 */
export async function createContainer(
  podman: Podman,
  policy: CreationPolicy,
  request: ContainersCreateRequest,
  signal: AbortSignal,
): Promise<string> {
  const { sources, mesh, pins } = policy;
  let listed: Promise<readonly PodmanNetwork[]> | undefined;
  const networks = () => (listed ??= podman.networks.list(signal));
  const dnsOf = async (names: readonly string[]) =>
    names.length === 0 ? undefined : networkDns(names, await networks(), mesh);
  const spec = await containerSpec(request, sources, dnsOf);
  const on = spec.networks === undefined ? [] : await namedNetworks(request, await networks());
  const { ports } = request;
  if (ports.length > 0)
    denyHostPorts(
      ports,
      await policy.hostPorts(signal),
      meshAddresses(await networks(), mesh),
      await policy.meshRanges(),
    );
  const words = await podman.images.words(spec.image, signal).catch((error: unknown) => {
    throw namingField(error, 'network');
  });
  denyImage(words);
  const labels = { ...spec.labels, ...labelsAgainst(words) };
  // A target that the request does not name comes from the image.
  const fieldOf = (target: string) => {
    const index = request.mounts.findIndex(mount => posix.resolve(mount.target) === target);
    return index < 0 ? 'image' : `mounts[${index}].target`;
  };
  const create = (addresses: ReadonlyMap<string, string>) =>
    createChecked(podman, withAddresses({ ...spec, labels }, addresses), fieldOf, signal);
  const managed = on.filter(({ network }) => isManaged(network, mesh));
  try {
    if (request.ip === '') return await pins.during(managed, signal, create);
    for (const { network } of on) checkInside(request.ip, network);
    // A caller who names an address gets it: its rule was written before, or its former container is being replaced.
    return await pins.during(managed, signal, create, request.ip);
  } catch (error) {
    throw namingField(error, request.network === '' ? 'networks' : 'network');
  }
}

/**
 * Creates a container and checks where its mounts would lie, which only its files tell. A refused container has never
 * started, and is removed.
 */
async function createChecked(
  { containers }: Pick<Podman, 'containers'>,
  spec: ContainerSpec,
  fieldOf: (target: string) => string,
  signal: AbortSignal,
): Promise<string> {
  const id = await containers.create(spec, signal);
  try {
    const container = await containers.inspect(id, signal);
    await denyKernelTargets(mountsOf(container), fieldOf, filesOf(containers, id, container, signal));
  } catch (error) {
    // The container is removed even when the caller has left.
    await containers.discard(id, AbortSignal.timeout(discardTimeoutMs));
    throw error;
  }
  return id;
}

/** Names the field that Podman's refusal to create concerns, when its reason tells. */
function namingField(error: unknown, networkField: string): unknown {
  if (!(error instanceof VerbError) || !(error.cause instanceof PodmanStatusError)) return error;
  const field = new Map([
    ['image not known', 'image'],
    ['network not found', networkField],
    ['that name is already in use', 'name'],
  ]).get(error.cause.reason);
  if (field === undefined) return error;
  return new VerbError(error.reason, error.message, { field, cause: error.cause });
}
