import { type Elsewhere, unknownWhere } from './elsewhere.ts';
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

const notConnected = { code: 404, message: 'host not connected' };

export function createOpenStream(deps: {
  hosts: Hosts;
  streams: Pick<Streams, 'open'>;
  routes: ReadonlyMap<string, Route>;
  elsewhere?: Pick<Elsewhere, 'where' | 'carrier'> | undefined;
}): OpenStream {
  const { hosts, streams, routes, elsewhere } = deps;
  /** The way to a host without a stream here, whose schema its broker looks at; or why there is none. */
  const away = (hostId: string) => {
    const where = elsewhere?.where(hostId) ?? { kind: 'nowhere' };
    switch (where.kind) {
      case 'elsewhere':
        return elsewhere?.carrier(where.route) ?? notConnected;
      case 'unknown':
        return { code: 503, message: unknownWhere };
      case 'nowhere':
        return notConnected;
    }
  };
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
    const aboveSchema = host === undefined ? undefined : refuseSchema(verb, host);
    if (aboveSchema !== undefined) return refused(501, aboveSchema, 'command.type');
    const carrier = host ?? away(hostId);
    if ('code' in carrier) return refused(carrier.code, carrier.message);

    const opened = streams.open(requestId, carrier, commandOf(request).command);
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
