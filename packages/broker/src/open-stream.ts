import { type Elsewhere, refuseElsewhere } from './elsewhere.ts';
import { type Reply, refuse } from './envelope.ts';
import type { Hosts } from './hosts.ts';
import { commandOf } from './park.ts';
import { type Route, readDispatch, refuseSchema, refuseUnstreamed } from './router.ts';
import type { Session } from './session.ts';
import type { Streams } from './streams.ts';

/** A stream that its host was asked for, or why it was not. */
export type Asked = { requestId: string; session: Session } | { reply: Reply };

/** Laravel's stream call: the body of a dispatch in, a stream or our refusal out. */
export type OpenStream = (body: unknown) => Asked;

export function createOpenStream(deps: {
  hosts: Hosts;
  streams: Pick<Streams, 'open'>;
  routes: ReadonlyMap<string, Route>;
  elsewhere?: Pick<Elsewhere, 'where'> | undefined;
}): OpenStream {
  const { hosts, streams, routes, elsewhere } = deps;
  return body => {
    const request = readDispatch(body, routes);
    if ('code' in request) return { reply: refuse(request) };
    const { requestId, hostId, verb } = request;
    const refused = (code: number, message: string, field?: string) => ({
      reply: refuse({ requestId, code, message, field }),
    });
    const unstreamed = refuseUnstreamed(verb, routes);
    if (unstreamed !== undefined) return refused(400, unstreamed, 'command.type');
    const host = hosts.get(hostId);
    if (host === undefined) {
      const away = refuseElsewhere(hostId, 'a stream has to be', elsewhere);
      return away === undefined ? refused(404, 'host not connected') : refused(away.code, away.message);
    }
    const aboveSchema = refuseSchema(verb, host);
    if (aboveSchema !== undefined) return refused(501, aboveSchema, 'command.type');

    const opened = streams.open(requestId, host, commandOf(request).command);
    switch (opened.kind) {
      case 'stopping':
        return refused(503, 'broker is stopping');
      case 'in flight':
        return refused(409, 'request_id already in flight', 'request_id');
      case 'full':
        return refused(503, 'broker at pending-dispatch capacity');
      case 'unread':
        return refused(503, 'host does not read its stream');
      case 'opening':
        return { requestId, session: opened.session };
    }
  };
}
