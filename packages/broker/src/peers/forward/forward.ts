import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Failure, failure } from '@coold/errors';
import {
  ForwardRequestSchema,
  type ForwardResponse,
  ForwardResponseSchema,
  type ServerMsg,
} from '@coold/proto';
import type { Refused } from '../../dispatch/send-to-host.ts';
import type { Forwarded, HostLocator } from '../../hosts/host-locator.ts';
import { PeerError } from '../link/peer-call.ts';
import type { PeerLinks } from '../link/peer-links.ts';
import type { HostPlace, Route } from '../routes/route.ts';
import { readPeerRefusal } from './peer-refusal.ts';

/** How a forward came out, from a closed set: metrics count by it. */
export type ForwardOutcome =
  | 'answered'
  | 'refused'
  | 'moved'
  | 'cancelled'
  | 'bad answer'
  | 'unreachable'
  | 'broke off';

export type RecordForward = (forward: { outcome: ForwardOutcome; durationMs: number }) => void;

/** What another broker may refuse with, as its own caller would be; anything else is no refusal of a broker. */
const passedOn = new Set([400, 409, 501, 503, 504]);

/** Asks other brokers for their hosts; once, whatever they say. */
export function createForward(deps: {
  brokerId: string;
  links: Pick<PeerLinks, 'to'>;
  record: RecordForward;
}): HostLocator['forward'] {
  const { brokerId, links, record } = deps;

  async function ask(route: Route, command: ServerMsg, timeoutMs: number, signal: AbortSignal) {
    const { hostId, brokerId: toBrokerId } = route;
    const request = create(ForwardRequestSchema, { fromBrokerId: brokerId, toBrokerId, hostId, command });
    try {
      const bytes = await links.to(route).forward(toBinary(ForwardRequestSchema, request), timeoutMs, signal);
      return judge(route, command.requestId, bytes);
    } catch (error) {
      return failed(route, error);
    }
  }

  return async (route, command, timeoutMs, signal) => {
    const startedAt = performance.now();
    const { outcome, told } = await ask(route, command, timeoutMs, signal);
    record({ outcome, durationMs: performance.now() - startedAt });
    return told;
  };
}

interface Judged {
  outcome: ForwardOutcome;
  told: Forwarded;
}

/** What another broker's bytes say. */
function judge(route: Route, requestId: string, bytes: Buffer): Judged {
  const answer = decode(bytes);
  const bad = (what: string): Judged => ({
    outcome: 'bad answer',
    told: refused('peer failed', failure('peer_failed', `${heldBy(route)}, which answered ${what}`)),
  });
  if (answer === undefined) return bad('with an unreadable answer');
  if (answer.requestId !== requestId) return bad('for another request');
  switch (answer.body.case) {
    case 'response': {
      const response = answer.body.value;
      if (response.requestId !== requestId) return bad('for another request');
      return { outcome: 'answered', told: { kind: 'answered', response, bytes: bytes.length } };
    }
    case 'refusal': {
      const refusal = readPeerRefusal(answer.body.value);
      const { code } = refusal;
      if (code === 404) return { outcome: 'moved', told: refused('peer refused', movedAway(route)) };
      if (!passedOn.has(code)) return bad(`with code ${code}`);
      return { outcome: 'refused', told: refused(outcomeOf(code), refusal) };
    }
    case undefined:
      return bad('nothing that is known here');
  }
}

function outcomeOf(code: number): Refused['outcome'] {
  if (code === 409) return 'in flight';
  if (code === 501) return 'schema';
  return code === 504 ? 'timeout' : 'peer refused';
}

function failed(route: Route, error: unknown): Judged {
  const isKnown = error instanceof PeerError;
  const kind = isKnown ? error.kind : 'broke off';
  const words = isKnown ? error.message : `broke off: ${error instanceof Error ? error.message : error}`;
  const told = refused('peer failed', failure('peer_unreachable', `${heldBy(route)}, which ${words}`));
  switch (kind) {
    case 'cancelled':
    case 'unreachable':
    case 'broke off':
      return { outcome: kind, told };
    case 'busy':
    case 'not processed':
    case 'refused':
      return { outcome: 'refused', told };
  }
}

function decode(bytes: Buffer): ForwardResponse | undefined {
  try {
    return fromBinary(ForwardResponseSchema, bytes);
  } catch {
    return undefined;
  }
}

/** A host and where it is, for a message. */
export function heldBy({ hostId, brokerId, address }: HostPlace): string {
  return `host ${hostId} is connected to broker ${brokerId} at ${address}`;
}

/** The broker that was asked for a host has it no more. */
export function movedAway(route: HostPlace): Failure {
  return failure('host_place_unknown', `${heldBy(route)}, which does not have it any more`);
}

function refused(outcome: Refused['outcome'], why: Failure): Refused {
  return { kind: 'refused', outcome, ...why };
}
