import type { JsonObject } from '@bufbuild/protobuf';
import {
  type ContainersCreateRequest,
  ContainersCreateRequestSchema,
  ContainersCreateResponseSchema,
  ContainersDeleteRequestSchema,
  ContainersDeleteResponseSchema,
  ContainersHealthcheckRequestSchema,
  ContainersHealthcheckResponseSchema,
  ContainersInspectRequestSchema,
  ContainersInspectResponseSchema,
  ContainersRestartRequestSchema,
  ContainersRestartResponseSchema,
  ContainersStartRequestSchema,
  ContainersStartResponseSchema,
  ContainersStopRequestSchema,
  ContainersStopResponseSchema,
  ListContainersReqSchema,
  ListContainersRespSchema,
} from '@coold/proto';
import type { Podman } from '../podman/client.ts';
import { annotationsOf, bindMounts } from '../podman/containers.ts';
import { mayBeginId } from '../podman/exact-names.ts';
import { PodmanStatusError } from '../podman/failure.ts';
import { containerSpec } from './container-spec.ts';
import { checkStopTimeout } from './container-values.ts';
import { type Handler, handler } from './handler.ts';
import { denyImage, denyRuntimeAnnotations, labelsAgainst } from './image-demands.ts';
import type { Joined } from './joined.ts';
import type { MountSources } from './mount-sources.ts';
import { checkName } from './names.ts';
import { type MeshNames, networkDns } from './network-dns.ts';
import { VerbError } from './verb-error.ts';

/** More than a host has containers; each of them waits for Podman. */
const maxUnattended = 1024;

/** The container verbs, by name. */
export function containerHandlers(
  podman: Podman,
  joined: Joined,
  sources: MountSources,
  mesh: MeshNames,
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
  };

  const wordsOf = (image: string, signal: AbortSignal) =>
    podman.images.words(image, signal).catch((error: unknown) => {
      throw namingField(error, 'network');
    });

  /** Podman would put a container on any network by the beginning of its id. @throws VerbError 404 naming the field */
  const refuseIds = async ({ network, networks }: ContainersCreateRequest, signal: AbortSignal) => {
    const named: [field: string, name: string][] = [
      ['network', network],
      ...networks.map((name, index): [string, string] => [`networks[${index}]`, name]),
    ];
    const doubtful = named.filter(([, name]) => mayBeginId(name));
    if (doubtful.length === 0) return;
    const known = new Set((await podman.networks.list(signal)).map(({ name }) => name));
    for (const [field, name] of doubtful)
      if (!known.has(name)) throw new VerbError(404, `no network is named ${name}`, { field });
  };

  return {
    list_containers: handler(ListContainersReqSchema, ListContainersRespSchema, async (_request, signal) => ({
      containers: await podman.listContainers(signal),
    })),
    'containers.create': handler(
      ContainersCreateRequestSchema,
      ContainersCreateResponseSchema,
      async (request, signal) => {
        const dnsOf = async (names: readonly string[]) =>
          names.length === 0 ? undefined : networkDns(names, await podman.networks.list(signal), mesh);
        const spec = await containerSpec(request, sources, dnsOf);
        await refuseIds(request, signal);
        const words = await wordsOf(spec.image, signal);
        denyImage(words);
        const labels = { ...spec.labels, ...labelsAgainst(words) };
        try {
          return { id: await containers.create({ ...spec, labels }, signal) };
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
