import { posix } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import {
  ContainersCreateRequestSchema,
  ContainersCreateResponseSchema,
  ContainersDeleteRequestSchema,
  ContainersDeleteResponseSchema,
  ContainersHealthcheckRequestSchema,
  ContainersHealthcheckResponseSchema,
  ContainersInspectRequestSchema,
  ContainersInspectResponseSchema,
  ContainersListRequestSchema,
  ContainersListResponseSchema,
  ContainersRestartRequestSchema,
  ContainersRestartResponseSchema,
  ContainersStartRequestSchema,
  ContainersStartResponseSchema,
  ContainersStopRequestSchema,
  ContainersStopResponseSchema,
  ListContainersReqSchema,
  ListContainersRespSchema,
} from '@coold/proto';
import type { HostContainers } from '../discovery/host-containers.ts';
import type { Podman } from '../podman/client.ts';
import { layersOf, mountsOf, pathKind } from '../podman/container-files.ts';
import { annotationsOf, bindMounts } from '../podman/containers.ts';
import { PodmanStatusError } from '../podman/failure.ts';
import { isCurrent, type ListedContainer } from '../podman/listed-containers.ts';
import type { PodmanNetwork } from '../podman/networks.ts';
import {
  checkInside,
  isManaged,
  meshAddresses,
  namedNetworks,
  namespacesOf,
  withAddresses,
} from './container-networks.ts';
import { type ContainerSpec, containerSpec } from './container-spec.ts';
import { checkStopTimeout } from './container-values.ts';
import { type Handler, handler } from './handler.ts';
import { denyHostPorts, type HostPort } from './host-ports.ts';
import { denyImage, denyRuntimeAnnotations, labelsAgainst } from './image-demands.ts';
import type { Joined } from './joined.ts';
import { cutPage, type PlacedContainer, placeContainer, readFilter } from './list-containers.ts';
import type { MountSources } from './mount-sources.ts';
import { denyKernelTargets, type LookAt } from './mount-targets.ts';
import { checkName } from './names.ts';
import { type MeshNames, networkDns } from './network-dns.ts';
import type { AddressPins } from './pin-addresses.ts';
import { VerbError } from './verb-error.ts';

/** More than a host has containers; each of them waits for Podman. */
const maxUnattended = 1024;

/** A container that was refused is removed within this long, in ms. */
const discardTimeoutMs = 30_000;

/** What this host allows and gives its containers. */
export interface ContainerPolicy {
  sources: MountSources;
  mesh: MeshNames;
  pins: AddressPins;
  /** Ports that the host serves the mesh on. */
  hostPorts(signal: AbortSignal): Promise<readonly HostPort[]>;
  /** What discovery knows of the containers. */
  known: Pick<HostContainers, 'facts'>;
}

/** The container verbs, by name. */
export function containerHandlers(
  podman: Podman,
  joined: Joined,
  { sources, mesh, pins, hostPorts, known }: ContainerPolicy,
): Record<string, Handler> {
  const { containers } = podman;

  /** One call at a time of a kind for a container; repeated, it joins (docs/contract.md §2). */
  const once = async (
    verb: string,
    given: string,
    signal: AbortSignal,
    work: (id: string, signal: AbortSignal) => Promise<void>,
  ) => {
    const id = checkName(given, 'id');
    await joined.run(`${verb} ${id}`, signal, unattended => work(id, unattended), { maxUnattended });
    return {};
  };

  /**
   * docs/contract.md §3: what may have changed, or was made past us, is checked again whenever a container is about to
   * run.
   */
  const recheck = async (id: string, signal: AbortSignal) => {
    const container = await containers.inspect(id, signal);
    denyRuntimeAnnotations(annotationsOf(container));
    for (const { source } of bindMounts(container)) await sources.recheck(source, 'id');
    await denyKernelTargets(mountsOf(container), () => 'id', filesOf(id, container, signal));
  };

  /** Looks at the files of a container, whether it runs or not. */
  const filesOf = (id: string, container: Record<string, unknown>, signal: AbortSignal): LookAt => {
    const layers = layersOf(container);
    return layers === undefined
      ? path => containers.pathKind(id, path, signal)
      : (path, mounted) => pathKind(layers, mounted, path);
  };

  /** Adds addresses: those that discovery knows, and of the few containers that changed just now Podman's own word. */
  const withFacts = async <T extends ListedContainer & { namespace: string }>(
    listed: readonly T[],
    signal: AbortSignal,
  ): Promise<PlacedContainer[]> => {
    const placed: PlacedContainer[] = [];
    for (const container of listed) {
      const facts = known.facts(container.id);
      const now =
        facts !== undefined && isCurrent(facts, container)
          ? facts
          : await podman.lifecycle.facts(container.id, signal).catch((error: unknown) => {
              if (error instanceof VerbError && error.code === 404) return undefined;
              throw error;
            });
      placed.push(placeContainer(container, now, container.namespace));
    }
    return placed;
  };

  const wordsOf = (image: string, signal: AbortSignal) =>
    podman.images.words(image, signal).catch((error: unknown) => {
      throw namingField(error, 'network');
    });

  /**
   * Creates a container and looks at where its mounts would lie, which only its files tell: one that is refused was never
   * started, and is gone.
   */
  const createChecked = async (
    spec: ContainerSpec,
    fieldOf: (target: string) => string,
    signal: AbortSignal,
  ): Promise<string> => {
    const id = await containers.create(spec, signal);
    try {
      const container = await containers.inspect(id, signal);
      await denyKernelTargets(mountsOf(container), fieldOf, filesOf(id, container, signal));
    } catch (error) {
      // The caller may have left, which must not leave the container.
      await containers.discard(id, AbortSignal.timeout(discardTimeoutMs));
      throw error;
    }
    return id;
  };

  return {
    list_containers: handler(ListContainersReqSchema, ListContainersRespSchema, async (_request, signal) => ({
      containers: await podman.listContainers(signal),
    })),
    'containers.list': handler(
      ContainersListRequestSchema,
      ContainersListResponseSchema,
      async (request, signal) => {
        const fits = readFilter(request);
        const [listed, networks] = await Promise.all([podman.listed(signal), podman.networks.list(signal)]);
        const namespaceOf = namespacesOf(networks, mesh);
        const found = listed
          .map(container => ({ ...container, namespace: namespaceOf(container.networks) }))
          .filter(fits);
        return { containers: await withFacts(cutPage(found, request.limit), signal) };
      },
    ),
    'containers.create': handler(
      ContainersCreateRequestSchema,
      ContainersCreateResponseSchema,
      async (request, signal) => {
        const { ports } = request;
        let listed: Promise<readonly PodmanNetwork[]> | undefined;
        const networks = () => (listed ??= podman.networks.list(signal));
        const dnsOf = async (names: readonly string[]) =>
          names.length === 0 ? undefined : networkDns(names, await networks(), mesh);
        const spec = await containerSpec(request, sources, dnsOf);
        const on = spec.networks === undefined ? [] : await namedNetworks(request, await networks());
        if (ports.length > 0)
          denyHostPorts(ports, await hostPorts(signal), meshAddresses(await networks(), mesh));
        const managed = on.filter(({ network }) => isManaged(network, mesh));
        const words = await wordsOf(spec.image, signal);
        denyImage(words);
        const labels = { ...spec.labels, ...labelsAgainst(words) };
        // What the request does not name is the image's.
        const fieldOf = (target: string) => {
          const index = request.mounts.findIndex(mount => posix.resolve(mount.target) === target);
          return index < 0 ? 'image' : `mounts[${index}].target`;
        };
        const create = (addresses: ReadonlyMap<string, string>) =>
          createChecked(withAddresses({ ...spec, labels }, addresses), fieldOf, signal);
        try {
          if (request.ip === '') return { id: await pins.during(managed, signal, create) };
          for (const { network } of on) checkInside(request.ip, network);
          // Whoever names an address gets it: its rule was written first, or its former container is being replaced.
          return { id: await pins.during(managed, signal, create, request.ip) };
        } catch (error) {
          throw namingField(error, request.network === '' ? 'networks' : 'network');
        }
      },
    ),
    'containers.start': handler(
      ContainersStartRequestSchema,
      ContainersStartResponseSchema,
      (request, signal) =>
        once('containers.start', request.id, signal, async (id, unattended) => {
          await recheck(id, unattended);
          await containers.start(id, unattended);
        }),
    ),
    'containers.restart': handler(
      ContainersRestartRequestSchema,
      ContainersRestartResponseSchema,
      (request, signal) =>
        once('containers.restart', request.id, signal, async (id, unattended) => {
          await recheck(id, unattended);
          await containers.restart(id, unattended);
        }),
    ),
    'containers.stop': handler(
      ContainersStopRequestSchema,
      ContainersStopResponseSchema,
      (request, signal) => {
        const { timeout } = request;
        checkStopTimeout(timeout, 'timeout');
        // One that has less patience does not wait for one that has more.
        const within = timeout === undefined ? '' : ` within ${timeout}`;
        return once(`containers.stop${within}`, request.id, signal, (id, unattended) =>
          containers.stop(id, timeout, unattended),
        );
      },
    ),
    'containers.delete': handler(
      ContainersDeleteRequestSchema,
      ContainersDeleteResponseSchema,
      ({ id: given, force }, signal) =>
        once(`containers.delete${force ? ' by force' : ''}`, given, signal, (id, unattended) =>
          containers.remove(id, force, unattended),
        ),
    ),
    'containers.inspect': handler(
      ContainersInspectRequestSchema,
      ContainersInspectResponseSchema,
      async (request, signal) => ({
        container: (await containers.inspect(checkName(request.id, 'id'), signal)) as JsonObject,
      }),
    ),
    'containers.healthcheck': handler(
      ContainersHealthcheckRequestSchema,
      ContainersHealthcheckResponseSchema,
      (request, signal) => {
        const id = checkName(request.id, 'id');
        return joined.run(`containers.healthcheck ${id}`, signal, unattended =>
          containers.healthcheck(id, unattended),
        );
      },
    ),
  };
}

/** Which field Podman's refusal to create is about, where its reason tells. */
function namingField(error: unknown, networkField: string): unknown {
  if (!(error instanceof VerbError) || !(error.cause instanceof PodmanStatusError)) return error;
  const field = new Map([
    ['image not known', 'image'],
    ['network not found', networkField],
    ['that name is already in use', 'name'],
  ]).get(error.cause.reason);
  if (field === undefined) return error;
  return new VerbError(error.code, error.message, { field, cause: error.cause });
}
