import type { Logger } from '@coold/runtime';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type BuildCall, type BuildReply, concludeBuild, refuseBuild } from './build-envelope.ts';
import { followBuild, writeEvents } from './build-events.ts';
import { readBuildOrder } from './build-request.ts';
import type { Builds } from './builds.ts';
import { type Elsewhere, refuseElsewhere } from './elsewhere.ts';
import type { Hosts } from './hosts.ts';
import { placeBuild } from './placement.ts';
import { openingFor } from './pump-session.ts';
import type { Refusal } from './router.ts';
import type { Streams } from './streams.ts';

export interface BuildLaneDeps {
  builds: Builds;
  hosts: Pick<Hosts, 'list'>;
  streams: Pick<Streams, 'open'>;
  elsewhere: Pick<Elsewhere, 'where'> | undefined;
  log: Logger;
  answer(reply: FastifyReply, what: { status: number; envelope: object }): FastifyReply;
  /** What a body that could not be read is refused with. */
  refusalOf(error: unknown): Refusal;
}

interface IdRoute {
  Params: { id: string };
}

const defaultTimeoutMs = 30_000;
/** Longer polls are clamped, not refused (docs/contract.md §2). */
const maxTimeoutMs = 300_000;
/** Nothing may read a result but who wants it. */
const getOnly = { exposeHeadRoute: false };

/** The calls of the build lane (docs/contract.md §2). */
export function addBuildRoutes(lane: FastifyInstance, deps: BuildLaneDeps): void {
  const { builds, log, answer, refusalOf } = deps;
  const unreadable = (stage: BuildCall) => ({
    errorHandler(error: unknown, _request: FastifyRequest, reply: FastifyReply) {
      const refusal = refusalOf(error);
      // Ours to mend, and the lane's to log.
      if (refusal.code >= 500) throw error;
      answer(reply, refuseBuild(stage, refusal));
    },
  });

  lane.post('/v1/build/dispatch', unreadable('dispatch'), (request, reply) => {
    const refusal = dispatchBuild(request.body, deps);
    if ('envelope' in refusal) return answer(reply, refusal);
    return reply.code(202).send({ request_id: refusal.requestId });
  });

  lane.get<IdRoute>('/v1/build/result/:id', getOnly, async ({ params, query }, reply) => {
    const requestId = params.id;
    const refused = (code: number, message: string, field?: string) =>
      answer(reply, refuseBuild('result', { requestId, code, message, field }));
    const timeoutMs = readTimeout(query);
    if (timeoutMs === undefined)
      return refused(400, 'timeout_ms: expected a whole number of milliseconds', 'timeout_ms');
    const moved = movedTo(requestId, 'its result has', deps);
    if (moved !== undefined) return refused(moved.code, moved.message);
    const poll = builds.poll(requestId);
    // One path for two questions: the result of a build `events`, and the events of a build `result`.
    if (poll === 'unknown' && requestId === 'events' && builds.whereIs('result') !== undefined)
      return replyEvents('result', reply, deps);
    if (poll === 'unknown') return refused(404, 'unknown request_id');
    if (poll === 'too many') return refused(503, 'too many callers wait for this build');
    const { raw } = reply;
    raw.once('close', () => {
      poll.close(raw.writableFinished);
      log.debug(
        { request_id: requestId, status: raw.statusCode, written: raw.writableFinished },
        'poll over',
      );
    });
    if (raw.destroyed) poll.close(false);
    const timer = setTimeout(() => poll.giveUp(), timeoutMs);
    const outcome = await poll.outcome;
    clearTimeout(timer);
    return answer(reply, concludeBuild(requestId, outcome));
  });

  lane.post<IdRoute>('/v1/build/:id/cancel', unreadable('cancel'), ({ params: { id } }, reply) => {
    const moved = movedTo(id, 'its cancel has', deps);
    if (moved !== undefined) return answer(reply, refuseBuild('cancel', { requestId: id, ...moved }));
    if (builds.cancel(id)) {
      const isAway = builds.whereIs(id)?.stream === undefined;
      log.info(
        { request_id: id },
        isAway ? 'build cancelled; its host is told when it returns' : 'build cancelled',
      );
      return reply.code(204).send();
    }
    const refusal = { requestId: id, code: 404, message: 'request_id not in flight' };
    return answer(reply, refuseBuild('cancel', refusal));
  });

  lane.delete<IdRoute>('/v1/build/:id', unreadable('delete'), ({ params: { id } }, reply) => {
    const refused = (code: number, message: string) =>
      answer(reply, refuseBuild('delete', { requestId: id, code, message }));
    const moved = movedTo(id, 'its removal has', deps);
    if (moved !== undefined) return refused(moved.code, moved.message);
    switch (builds.remove(id)) {
      case 'removed':
        log.info({ request_id: id }, 'result of a build removed');
        return reply.code(204).send();
      case 'in flight':
        return refused(409, 'the build has not ended: cancel it first');
      case 'unknown':
        return refused(404, 'unknown request_id');
    }
  });

  lane.get<IdRoute>('/v1/build/:id/events', getOnly, ({ params }, reply) =>
    replyEvents(params.id, reply, deps),
  );
}

/** Why nothing can be asked of a build here: its host has gone to another broker, and has told that one of it. */
function movedTo(requestId: string, what: string, { builds, elsewhere }: BuildLaneDeps) {
  if (elsewhere === undefined) return undefined;
  const place = builds.whereIs(requestId);
  if (place === undefined || place.stream !== undefined || place.isAnswered) return undefined;
  const isThere = elsewhere.where(place.hostId).kind === 'elsewhere';
  return isThere ? refuseElsewhere(place.hostId, `${what} to be`, elsewhere) : undefined;
}

/** A build's progress, until its reader hangs up or it ends. */
async function replyEvents(requestId: string, reply: FastifyReply, deps: BuildLaneDeps) {
  const { answer } = deps;
  const moved = movedTo(requestId, 'its progress has', deps);
  if (moved !== undefined) return answer(reply, refuseBuild('events', { requestId, ...moved }));
  const followed = followBuild(requestId, deps);
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

function dispatchBuild(body: unknown, deps: BuildLaneDeps): { requestId: string } | BuildReply {
  const { builds, hosts, log, elsewhere } = deps;
  const order = readBuildOrder(body);
  if ('code' in order) return refuseBuild('dispatch', order);
  const { requestId, hostId, type, schema, needs, build } = order;
  const refused = (code: number, message: string, field?: string) =>
    refuseBuild('dispatch', { requestId, code, message, field });
  // Before any host is looked at: that none is there for it now does not mean that it does not run.
  if (builds.isInFlight(requestId)) return refused(409, 'request_id already in flight', 'request_id');
  const question = { hosts: hosts.list(), pin: hostId, type: needs.what, schema, load: builds.load };
  const placement = placeBuild(question);
  if (placement.kind === 'refused') {
    const isHere = hostId !== undefined && question.hosts.some(host => host.hostId === hostId);
    const away =
      hostId === undefined || isHere
        ? undefined
        : refuseElsewhere(hostId, 'a build for it has to be', elsewhere);
    if (away !== undefined) return refused(away.code, away.message);
    const field = placement.code === 501 ? needs.field : undefined;
    return refused(placement.code, placement.message, field);
  }
  const { host } = placement;
  const sent = builds.dispatch(requestId, host, build);
  switch (sent) {
    case 'sent':
      log.info({ request_id: requestId, host_id: host.hostId, type }, 'build sent to its host');
      return { requestId };
    case 'in flight':
      return refused(409, 'request_id already in flight', 'request_id');
    case 'full':
      return refused(503, 'broker at pending-dispatch capacity');
    case 'stopping':
      return refused(503, 'broker is stopping');
    case 'unread':
      return refused(503, 'host does not read its stream');
  }
}

/** In ms; undefined: it is no number. */
function readTimeout(query: unknown): number | undefined {
  const value = (query as Record<string, unknown>)['timeout_ms'];
  if (value === undefined) return defaultTimeoutMs;
  if (typeof value !== 'string' || !/^\d{1,15}$/.test(value)) return undefined;
  return Math.min(Number(value), maxTimeoutMs);
}
