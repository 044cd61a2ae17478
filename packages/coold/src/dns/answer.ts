import { ipv4Number } from './ipv4.ts';
import { encodeHeader, encodeReply, type Query, type Rcode, readQuery, types, udpLimit } from './wire.ts';
import type { Holding } from './zone.ts';

/** Seconds (docs/contract.md §6), of addresses and of "no such name" alike. */
export const zoneTtl = 5;
const maxTcpBytes = 65_535;

/** A type for private use (RFC 6895): what a listener asks itself, and no client does. */
export const selfQueryType = 65_399;

export type Transport = 'udp' | 'tcp';

export type Answer =
  | { kind: 'reply'; packet: Buffer; rcode: Rcode; isSelfQuery: boolean }
  /** Outside the zone. */
  | { kind: 'forward'; query: Query }
  /** To be asked for again; false: in vain. */
  | { kind: 'later'; known: Promise<boolean> }
  | { kind: 'ignored' };

/** What there is to say of a name; `later`: once that resolves, if it does with true. */
export type Known =
  | Exclude<Holding, { kind: 'endpoints' }>
  | { kind: 'endpoints'; endpoints: readonly HasAddress[] }
  | { kind: 'later'; known: Promise<boolean> };

/** A zone as far as answers need it. */
export interface AnswerableZone {
  /** Its name on the wire. */
  readonly wire: string;
  /** @param name on the wire, in lower case */
  find(name: string): Known;
}

interface HasAddress {
  /** IPv4. */
  readonly address: string;
}

export type AnswerPacket = (packet: Buffer, transport: Transport) => Answer;

/**
 * What to do with a message from a client. Pure but for the order of replicas.
 *
 * @param serial of the zone; whoever answers with another is not this process
 */
export function createAnswerPacket(zone: AnswerableZone, serial: number): AnswerPacket {
  const authority = { zone: zone.wire, serial };
  const addressesOf = packedAddresses();

  function reply(
    query: Query,
    rcode: Rcode,
    transport: Transport,
    endpoints?: readonly HasAddress[],
  ): Answer {
    const limit = transport === 'udp' ? udpLimit(query) : maxTcpBytes;
    const addresses = endpoints === undefined ? undefined : addressesOf(endpoints);
    const content =
      addresses === undefined || addresses.length === 0
        ? { rcode, authoritative: true, ttl: zoneTtl, authority }
        : { rcode, authoritative: true, ttl: zoneTtl, addresses };
    const packet = encodeReply(query, content, limit);
    return { kind: 'reply', packet, rcode, isSelfQuery: query.type === selfQueryType };
  }

  return (packet, transport) => {
    const received = readQuery(packet);
    switch (received.kind) {
      case 'ignored':
        return { kind: 'ignored' };
      case 'refused': {
        const { rcode, query } = received;
        const refusal = query === undefined ? encodeHeader(packet, rcode) : encodeFailure(query, rcode);
        return { kind: 'reply', packet: refusal, rcode, isSelfQuery: false };
      }
      case 'query': {
        const { query } = received;
        const holding = zone.find(query.name);
        switch (holding.kind) {
          case 'endpoints':
            return query.type === types.A || query.type === types.ANY
              ? reply(query, 'NOERROR', transport, holding.endpoints)
              : reply(query, 'NOERROR', transport);
          case 'empty':
            return reply(query, 'NOERROR', transport);
          case 'missing':
            return reply(query, 'NXDOMAIN', transport);
          case 'unknown':
            return {
              kind: 'reply',
              packet: encodeFailure(query, 'SERVFAIL'),
              rcode: 'SERVFAIL',
              isSelfQuery: false,
            };
          case 'outside':
            return { kind: 'forward', query };
          // Not ours to be authoritative for, so without a start of authority: nobody keeps it.
          case 'relative':
            return {
              kind: 'reply',
              packet: encodeFailure(query, 'NXDOMAIN'),
              rcode: 'NXDOMAIN',
              isSelfQuery: false,
            };
          case 'later':
            return holding;
        }
      }
    }
  };
}

/** A reply that says nothing but why there is no answer. */
export function encodeFailure(query: Query, rcode: Rcode): Buffer {
  return encodeReply(query, { rcode, authoritative: false }, udpLimit(query));
}

/** Endpoints as numbers, kept for as long as their list lives: one list is asked for thousands of times a second. */
function packedAddresses(): (endpoints: readonly HasAddress[]) => Uint32Array {
  const packed = new WeakMap<readonly HasAddress[], Uint32Array>();
  return endpoints => {
    const known = packed.get(endpoints);
    if (known !== undefined) return known;
    // A container with two rows, or a registration of it, is one address all the same.
    const distinct = new Set(endpoints.map(({ address }) => address));
    const addresses = Uint32Array.from(distinct, ipv4Number);
    packed.set(endpoints, addresses);
    return addresses;
  };
}
