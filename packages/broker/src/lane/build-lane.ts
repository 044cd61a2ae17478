import { type Failure, failure, type Refusal, requestIdInFlight } from '@coold/errors';
import type { Logger } from '@coold/runtime';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type BuildCalls, createBuildCalls, type ResultPoll } from '../builds/build-calls.ts';
import { type BuildCall, type BuildReply, refuseBuild } from '../builds/build-envelope.ts';
import { type FollowedBuild, followBuild, followOn, writeEvents } from '../builds/build-events.ts';
import { readBuildOrder } from '../builds/build-request.ts';
import type { Builds } from '../builds/builds.ts';
import { type HostLocator, hostPlaceUnknown } from '../hosts/host-locator.ts';
import type { Hosts } from '../hosts/hosts.ts';
import type { HostLocation } from '../peers/routes/route-table.ts';
import { openingFor } from '../streams/pump-session.ts';
import type { Streams } from '../streams/streams.ts';
import { BuildCallRouter, type BuildPlace } from './build-call-router.ts';

export interface BuildLaneDeps {
  builds: Builds;
  hosts: Pick<Hosts, 'get' | 'list'>;
  streams: Pick<Streams, 'open'>;
  locator: Pick<HostLocator, 'locate' | 'carrier' | 'builds'> | undefined;
  log: Logger;
  answer(reply: FastifyReply, what: { status: number; envelope: object }): FastifyReply;
  /** Returns the refusal of a body that could not be read. */
  refusalOf(error: unknown, request: FastifyRequest): Refusal;
}

interface IdRoute {
  Params: { id: string };
}

const defaultTimeoutMs = 30_000;
/** Longer polls are clamped, not refused (docs/contract.md §2). */
const maxTimeoutMs = 300_000;
/** A HEAD request must not count as a reader of the result. */
const getOnly = { exposeHeadRoute: false };

/** The calls of the build lane (docs/contract.md §2). Each is made where the build is, through another broker where it is there. */
export function addBuildRoutes(lane: FastifyInstance, deps: BuildLaneDeps): void {
  const routes = new BuildRoutes(deps);
  const { answer, refusalOf } = deps;
  const unreadable = (stage: BuildCall) => ({
    errorHandler(error: unknown, request: FastifyRequest, reply: FastifyReply) {
      const refusal = refusalOf(error, request);
      // A fault of the broker is logged and answered by the lane.
      if (refusal.code >= 500) throw error;
      answer(reply, refuseBuild(stage, refusal));
    },
  });
  lane.post('/v1/build/dispatch', unreadable('dispatch'), ({ body }, reply) => routes.dispatch(body, reply));
  lane.get<IdRoute>('/v1/build/result/:id', getOnly, ({ params, query }, reply) =>
    routes.result(params.id, query, reply),
  );
  lane.get<IdRoute>('/v1/build/:id/events', getOnly, ({ params }, reply) => routes.events(params.id, reply));
  lane.post<IdRoute>('/v1/build/:id/cancel', unreadable('cancel'), ({ params }, reply) =>
    routes.change(params.id, 'cancel', reply),
  );
  lane.delete<IdRoute>('/v1/build/:id', unreadable('delete'), ({ params }, reply) =>
    routes.change(params.id, 'delete', reply),
  );
}

class BuildRoutes {
  readonly #deps: BuildLaneDeps;
  readonly #calls: BuildCalls;
  readonly #router: BuildCallRouter;

  constructor(deps: BuildLaneDeps) {
    const { builds, hosts, locator, log } = deps;
    this.#deps = deps;
    this.#calls = createBuildCalls({ builds, hosts, log });
    this.#router = new BuildCallRouter({ builds, locator });
  }

  async dispatch(body: unknown, reply: FastifyReply): Promise<FastifyReply> {
    const { hosts, locator, answer } = this.#deps;
    const order = readBuildOrder(body);
    if ('code' in order) return answer(reply, refuseBuild('dispatch', order));
    const { requestId, hostId } = order;
    const isHere = hostId === undefined || hosts.get(hostId) !== undefined;
    const location = isHere ? undefined : locator?.locate(hostId);
    const failed =
      location === undefined || location.kind === 'nowhere'
        ? refusalFor(requestId, this.#calls.dispatch(order))
        : await this.#dispatchAway(requestId, location, body);
    return failed === undefined ? reply.code(202).send({ request_id: requestId }) : answer(reply, failed);
  }

  /** Waits for a result until it is there, the caller's time is over, or the caller leaves. */
  async result(requestId: string, query: unknown, reply: FastifyReply): Promise<FastifyReply> {
    const { builds, log, answer } = this.#deps;
    const timeoutMs = readTimeout(query);
    if (timeoutMs === undefined) {
      const why = 'timeout_ms: expected a whole number of milliseconds';
      return answer(
        reply,
        refuseBuild('result', { requestId, ...failure('invalid_request', why, 'timeout_ms') }),
      );
    }
    // The path of the result of a build `events` is also that of the events of a build `result`.
    if (
      requestId === 'events' &&
      builds.whereIs('events') === undefined &&
      builds.whereIs('result') !== undefined
    )
      return this.events('result', reply);
    const { raw } = reply;
    let waiting: ResultPoll | undefined;
    raw.once('close', () => {
      waiting?.close(raw.writableFinished);
      log.debug(
        { request_id: requestId, status: raw.statusCode, written: raw.writableFinished },
        'poll over',
      );
    });
    const wait = async (poll: ResultPoll) => {
      waiting = poll;
      // The caller may have left before.
      if (raw.destroyed) poll.close(false);
      return poll.reply;
    };
    const concluded = await this.#router.call<BuildReply>(requestId, 'result', {
      here: () => {
        const poll = this.#calls.result(requestId, timeoutMs);
        return 'code' in poll ? refuseBuild('result', { requestId, ...poll }) : wait(poll);
      },
      away: (others, place) => wait(others.result(place, requestId, timeoutMs)),
    });
    return answer(reply, concluded);
  }

  /** Cancels a build, or removes its result. */
  async change(requestId: string, stage: 'cancel' | 'delete', reply: FastifyReply): Promise<FastifyReply> {
    const method = stage === 'cancel' ? 'cancel' : 'remove';
    const failed = await this.#router.call<BuildReply | undefined>(requestId, stage, {
      here: () => {
        const why = this.#calls[method](requestId);
        return why && refuseBuild(stage, { requestId, ...why });
      },
      away: (others, place) => others[method](place, requestId),
    });
    return failed === undefined ? reply.code(204).send() : this.#deps.answer(reply, failed);
  }

  /** Writes the progress of a build until it ends or the caller leaves. */
  async events(requestId: string, reply: FastifyReply): Promise<FastifyReply> {
    const { answer } = this.#deps;
    const followed = this.#follow(requestId, await this.#router.placeOf(requestId));
    if ('reply' in followed) return answer(reply, followed.reply);
    const { session } = followed;
    const { raw } = reply;
    const opening = await openingFor(raw, session);
    switch (opening.kind) {
      case 'refused': {
        const refusal = refuseBuild('events', { requestId, ...opening.failure });
        return answer(reply, opening.by === 'host' ? { ...refusal, status: 200 } : refusal);
      }
      case 'opened':
        reply.hijack();
        writeEvents(raw, session);
        return reply;
    }
  }

  /** Gives a build to a host of another broker. @returns undefined once it was sent, else the refusal */
  async #dispatchAway(
    requestId: string,
    location: Exclude<HostLocation, { kind: 'nowhere' }>,
    body: unknown,
  ): Promise<BuildReply | undefined> {
    const { builds, locator, log } = this.#deps;
    if (builds.isInFlight(requestId)) return refusalFor(requestId, requestIdInFlight);
    if (location.kind === 'unknown') return refusalFor(requestId, hostPlaceUnknown);
    const { route } = location;
    const failed = await locator?.builds.dispatch(route, requestId, body);
    if (failed === undefined)
      log.info(
        { request_id: requestId, host_id: route.hostId, broker_id: route.brokerId },
        'build sent to another broker',
      );
    return failed;
  }

  #follow(requestId: string, place: BuildPlace): FollowedBuild {
    const { builds, streams, locator } = this.#deps;
    const refused = (why: Failure) => ({ reply: refuseBuild('events', { requestId, ...why }) });
    if (place.kind === 'refused') return refused(place.failure);
    if (place.kind === 'here' || locator === undefined) return followBuild(requestId, { builds, streams });
    if (!place.isHere) return refused(failure('build_host_away', 'builder host disconnected'));
    return followOn(requestId, locator.carrier(place.place), streams);
  }
}

function refusalFor(requestId: string, why: Failure | undefined): BuildReply | undefined {
  return why && refuseBuild('dispatch', { requestId, ...why });
}

/** Returns the caller's `timeout_ms`, undefined where it is not a number. */
function readTimeout(query: unknown): number | undefined {
  const value = (query as Record<string, unknown>)['timeout_ms'];
  if (value === undefined) return defaultTimeoutMs;
  if (typeof value !== 'string' || !/^\d{1,15}$/.test(value)) return undefined;
  return Math.min(Number(value), maxTimeoutMs);
}
