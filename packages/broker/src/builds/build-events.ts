import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { create } from '@bufbuild/protobuf';
import {
  brokerFull,
  brokerStopping,
  type Failure,
  failure,
  hostNotReading,
  requestIdUnknown,
} from '@coold/errors';
import { BuildEventsRequestSchema } from '@coold/proto';
import type { StreamCarrier } from '../hosts/hosts.ts';
import { asLines, pumpSession } from '../streams/pump-session.ts';
import type { Session } from '../streams/session.ts';
import type { Streams } from '../streams/streams.ts';
import { type BuildReply, refuseBuild } from './build-envelope.ts';
import type { Builds } from './builds.ts';

/** The session with a build's progress, or the reply that says why there is none. */
export type FollowedBuild = { session: Session } | { reply: BuildReply };

export interface FollowDeps {
  builds: Pick<Builds, 'whereIs'>;
  streams: Pick<Streams, 'open'>;
}

/**
 * Asks a build's host for its progress, from the first frame on. Each reader has its own stream and credit, so a slow
 * one delays neither the others nor the build.
 */
export function followBuild(requestId: string, { builds, streams }: FollowDeps): FollowedBuild {
  const refused = (why: Failure) => ({ reply: refuseBuild('events', { requestId, ...why }) });
  const place = builds.whereIs(requestId);
  if (place === undefined) return refused(requestIdUnknown);
  const host = place.stream;
  if (host === undefined) return refused(failure('build_host_away', 'builder host disconnected'));
  if (host.schemaMax < 2)
    return refused(
      failure(
        'host_too_old',
        `build events need schema 2, host ${host.hostId} speaks up to ${host.schemaMax}`,
      ),
    );
  return followOn(requestId, host, streams);
}

/** Does the same when the build's host is known, which may be connected to another broker. */
export function followOn(
  requestId: string,
  carrier: StreamCarrier,
  streams: Pick<Streams, 'open'>,
): FollowedBuild {
  const refused = (why: Failure) => ({ reply: refuseBuild('events', { requestId, ...why }) });
  const value = create(BuildEventsRequestSchema, { buildId: requestId });
  const opened = streams.open(`events-${randomUUID()}`, carrier, { case: 'buildEvents', value });
  switch (opened.kind) {
    case 'opening':
      return { session: opened.session };
    case 'stopping':
      return refused(brokerStopping);
    case 'unread':
      return refused(hostNotReading);
    case 'full':
    case 'in flight':
      return refused(brokerFull);
  }
}

/** Writes a build's progress: the host's lines unchanged, as fast as the reader takes them. */
export function writeEvents(response: ServerResponse, session: Session): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  pumpSession(response, session, asLines());
}
