import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { create } from '@bufbuild/protobuf';
import { BuildEventsRequestSchema } from '@coold/proto';
import { type BuildReply, refuseBuild } from './build-envelope.ts';
import type { Builds } from './builds.ts';
import { pumpSession } from './pump-session.ts';
import type { Session } from './session.ts';
import type { Streams } from './streams.ts';

/** A build's progress that its host was asked for, or why it was not. */
export type FollowedBuild = { session: Session } | { reply: BuildReply };

export interface FollowDeps {
  builds: Pick<Builds, 'whereIs'>;
  streams: Pick<Streams, 'open'>;
}

/**
 * Asks a build's host for its progress, from the first frame on. Each reader has a stream and a credit of its own, so a
 * slow one holds up neither the others nor the build.
 */
export function followBuild(requestId: string, { builds, streams }: FollowDeps): FollowedBuild {
  const refused = (code: number, message: string) => ({
    reply: refuseBuild('events', { requestId, code, message }),
  });
  const place = builds.whereIs(requestId);
  if (place === undefined) return refused(404, 'unknown request_id');
  const host = place.stream;
  if (host === undefined) return refused(503, 'builder host disconnected');
  if (host.schemaMax < 2)
    return refused(501, `build events need schema 2, host ${host.hostId} speaks up to ${host.schemaMax}`);
  const value = create(BuildEventsRequestSchema, { buildId: requestId });
  const opened = streams.open(`events-${randomUUID()}`, host, { case: 'buildEvents', value });
  switch (opened.kind) {
    case 'opening':
      return { session: opened.session };
    case 'stopping':
      return refused(503, 'broker is stopping');
    case 'unread':
      return refused(503, 'host does not read its stream');
    case 'full':
    case 'in flight':
      return refused(503, 'broker at pending-dispatch capacity');
  }
}

/** The reply with a build's progress: the host's lines as they are, as fast as their reader takes them, and no faster. */
export function writeEvents(response: ServerResponse, session: Session): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  let isBetweenLines = true;
  pumpSession(response, session, {
    output({ data }) {
      isBetweenLines = data.at(-1) === 0x0a;
      return data;
    },
    ending(ending) {
      if (ending.kind === 'ended') return '';
      const { code, message } = ending.failure;
      return `${isBetweenLines ? '' : '\n'}${JSON.stringify({ error: message, code })}\n`;
    },
  });
}
