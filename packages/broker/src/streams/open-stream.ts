import {
  brokerFull,
  brokerStopping,
  type Failure,
  failure,
  hostNotConnected,
  hostNotReading,
  requestIdInFlight,
} from '@coold/errors';
import { commandOf } from '../dispatch/send-to-host.ts';
import { type Reply, refuse } from '../hosts/envelope.ts';
import { type HostLocator, hostPlaceUnknown } from '../hosts/host-locator.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { type Route, readDispatch, refuseSchema, refuseUnstreamed } from '../hosts/router.ts';
import type { Session } from './session.ts';
import type { Streams } from './streams.ts';

/** A stream that was requested from its host, or the refusal. */
export type Asked =
  /** @property lines its output consists of JSON lines, which the caller gets unchanged */
  { requestId: string; session: Session; lines: boolean } | { reply: Reply };

/** Handles Laravel's stream call. @returns the stream, or the broker's refusal */
export type OpenStream = (body: unknown) => Asked;

export function createOpenStream(deps: {
  hosts: Hosts;
  streams: Pick<Streams, 'open'>;
  routes: ReadonlyMap<string, Route>;
  locator?: Pick<HostLocator, 'locate' | 'carrier'> | undefined;
}): OpenStream {
  const { hosts, streams, routes, locator } = deps;
  /**
   * Finds the channel to a host without a stream here, whose schema is checked by its broker; or returns why there is
   * none.
   */
  const away = (hostId: string) => {
    const location = locator?.locate(hostId) ?? { kind: 'nowhere' };
    switch (location.kind) {
      case 'other broker':
        return locator?.carrier(location.route) ?? hostNotConnected(hostId);
      case 'unknown':
        return hostPlaceUnknown;
      case 'nowhere':
        return hostNotConnected(hostId);
    }
  };
  return body => {
    const request = readDispatch(body, routes);
    if ('code' in request) return { reply: refuse(request) };
    const { requestId, hostId, verb } = request;
    const refused = (why: Failure) => ({ reply: refuse({ requestId, ...why }) });
    const unstreamed = refuseUnstreamed(verb, routes);
    if (unstreamed !== undefined) return refused(failure('invalid_request', unstreamed, 'command.type'));
    const host = hosts.get(hostId);
    const aboveSchema = host === undefined ? undefined : refuseSchema(verb, host);
    if (aboveSchema !== undefined) return refused(aboveSchema);
    const carrier = host ?? away(hostId);
    if ('code' in carrier) return refused(carrier);

    const opened = streams.open(requestId, carrier, commandOf(request).command);
    switch (opened.kind) {
      case 'stopping':
        return refused(brokerStopping);
      case 'in flight':
        return refused(requestIdInFlight);
      case 'full':
        return refused(brokerFull);
      case 'unread':
        return refused(hostNotReading);
      case 'opening':
        return { requestId, session: opened.session, lines: verb.lines };
    }
  };
}
