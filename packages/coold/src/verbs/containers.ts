import type { JsonObject } from '@bufbuild/protobuf';
import { VerbError } from '@coold/errors';
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
import type { HostContainers } from '../discovery/containers/host-containers.ts';
import { type Handler, handler } from '../handler.ts';
import type { Podman } from '../podman/client.ts';
import { mountsOf } from '../podman/container-files.ts';
import { annotationsOf, bindMounts } from '../podman/containers.ts';
import { isCurrent, type ListedContainer } from '../podman/listed-containers.ts';
import type { Coalescer } from './coalesce.ts';
import { namespacesOf } from './container/container-networks.ts';
import { checkStopTimeout } from './container/container-values.ts';
import { type CreationPolicy, createContainer } from './container/create-container.ts';
import { denyRuntimeAnnotations } from './container/image-demands.ts';
import { cutPage, type PlacedContainer, placeContainer, readFilter } from './container/list-containers.ts';
import { denyKernelTargets, filesOf } from './container/mount-targets.ts';
import { checkName } from './names.ts';

/**
 * The most calls that may continue after their callers have left: more than a host has containers. Each waits for
 * Podman.
 */
const maxUnattended = 1024;

/** What this host allows its containers, and gives them. */
export interface ContainerPolicy extends CreationPolicy {
  /** What discovery knows of the containers. */
  known: Pick<HostContainers, 'facts'>;
}

/** The container verbs, by name. */
export function containerHandlers(
  podman: Podman,
  coalescer: Coalescer,
  policy: ContainerPolicy,
): Record<string, Handler> {
  return {
    ...listHandlers(podman, policy),
    'containers.create': handler(
      ContainersCreateRequestSchema,
      ContainersCreateResponseSchema,
      async (request, signal) => ({ id: await createContainer(podman, policy, request, signal) }),
    ),
    'containers.inspect': handler(
      ContainersInspectRequestSchema,
      ContainersInspectResponseSchema,
      async ({ id }, signal) => ({
        container: (await podman.containers.inspect(checkName(id, 'id'), signal)) as JsonObject,
      }),
    ),
    ...changeHandlers(podman, coalescer, policy),
  };
}

function listHandlers(
  podman: Podman,
  { mesh, known }: Pick<ContainerPolicy, 'mesh' | 'known'>,
): Record<string, Handler> {
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
        return { containers: await withFacts(cutPage(found, request.limit), known, podman, signal) };
      },
    ),
  };
}

/** Adds addresses: those that discovery knows, and Podman's own data for the few containers that have just changed. */
async function withFacts<T extends ListedContainer & { namespace: string }>(
  listed: readonly T[],
  known: Pick<HostContainers, 'facts'>,
  { lifecycle }: Pick<Podman, 'lifecycle'>,
  signal: AbortSignal,
): Promise<PlacedContainer[]> {
  const placed: PlacedContainer[] = [];
  for (const container of listed) {
    const facts = known.facts(container.id);
    const now =
      facts !== undefined && isCurrent(facts, container)
        ? facts
        : await lifecycle.facts(container.id, signal).catch((error: unknown) => {
            if (error instanceof VerbError && error.code === 404) return undefined;
            throw error;
          });
    placed.push(placeContainer(container, now, container.namespace));
  }
  return placed;
}

/**
 * The verbs that change a container. One call of a kind at a time per container; a repeated call joins it
 * (docs/contract.md §2).
 */
function changeHandlers(
  { containers }: Pick<Podman, 'containers'>,
  coalescer: Coalescer,
  { sources }: Pick<ContainerPolicy, 'sources'>,
): Record<string, Handler> {
  const once = async (
    verb: string,
    given: string,
    signal: AbortSignal,
    work: (id: string, signal: AbortSignal) => Promise<void>,
  ) => {
    const id = checkName(given, 'id');
    await coalescer.run(`${verb} ${id}`, signal, unattended => work(id, unattended), { maxUnattended });
    return {};
  };
  /**
   * docs/contract.md §3: whatever may have changed, or was created without coold, is checked again before a container
   * runs.
   */
  const recheck = async (id: string, signal: AbortSignal) => {
    const container = await containers.inspect(id, signal);
    denyRuntimeAnnotations(annotationsOf(container));
    for (const { source } of bindMounts(container)) await sources.recheck(source, 'id');
    await denyKernelTargets(mountsOf(container), () => 'id', filesOf(containers, id, container, signal));
  };
  return {
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
        once(`containers.restart${within(request.timeout)}`, request.id, signal, async (id, unattended) => {
          await recheck(id, unattended);
          await containers.restart(id, request.timeout, unattended);
        }),
    ),
    'containers.stop': handler(
      ContainersStopRequestSchema,
      ContainersStopResponseSchema,
      ({ id: given, timeout }, signal) =>
        once(`containers.stop${within(timeout)}`, given, signal, (id, unattended) =>
          containers.stop(id, timeout, unattended),
        ),
    ),
    'containers.delete': handler(
      ContainersDeleteRequestSchema,
      ContainersDeleteResponseSchema,
      ({ id: given, force, timeout }, signal) => {
        // Without force nothing is stopped and the timeout has no effect; an invalid one is refused all the same.
        const patience = within(timeout);
        const how = force ? ` by force${patience}` : '';
        return once(`containers.delete${how}`, given, signal, (id, unattended) =>
          containers.remove(id, force, unattended, timeout),
        );
      },
    ),
    'containers.healthcheck': handler(
      ContainersHealthcheckRequestSchema,
      ContainersHealthcheckResponseSchema,
      (request, signal) => {
        const id = checkName(request.id, 'id');
        return coalescer.run(`containers.healthcheck ${id}`, signal, unattended =>
          containers.healthcheck(id, unattended),
        );
      },
    ),
  };
}

/**
 * Returns a part of the key that repeated calls join by: a call with a shorter timeout does not wait for one with a
 * longer.
 *
 * @throws FieldError for a timeout that is too long
 */
function within(timeoutS: number | undefined): string {
  checkStopTimeout(timeoutS, 'timeout');
  return timeoutS === undefined ? '' : ` within ${timeoutS}`;
}
