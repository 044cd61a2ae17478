import { ipv4Number } from '@coold/udp-io';
import {
  type Authority,
  encodeHeader,
  encodeReply,
  nsData,
  type Query,
  type Rcode,
  type RecordData,
  readQuery,
  soaData,
  types,
  udpLimit,
} from '../wire.ts';
import { reverseZoneOf } from './reverse-names.ts';
import type { Holding } from './zone.ts';

/** The TTL of addresses and of "no such name", in seconds (docs/contract.md §6). */
export const zoneTtl = 5;
const maxTcpBytes = 65_535;

/** A type for private use (RFC 6895), with which a listener asks itself. */
export const selfQueryType = 65_399;

export type Transport = 'udp' | 'tcp';

export type Answer =
  | { kind: 'reply'; packet: Buffer; rcode: Rcode; isSelfQuery: boolean }
  /** Outside the zone. */
  | { kind: 'forward'; query: Query }
  /** To be looked up again once `known` resolves with true; false means there is nothing to wait for. */
  | { kind: 'later'; known: Promise<boolean> }
  | { kind: 'ignored' };

/** What is known of a name. `later`: look it up again once that resolves with true. */
export type Known =
  | Exclude<Holding, { endpoints?: unknown }>
  | { kind: 'endpoints'; endpoints: readonly HasAddress[] }
  | { kind: 'relative'; endpoints?: readonly HasAddress[] }
  | { kind: 'later'; known: Promise<boolean> };

/** The part of a zone that answers need. */
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
 * Returns a function that decides what to do with a client's message. Pure except for the order of replicas.
 *
 * @param serial of the zone; an answer with another serial is not from this process
 */
export function createAnswerPacket(zone: AnswerableZone, serial: number): AnswerPacket {
  const authority = { zone: zone.wire, serial };
  const addressesOf = packedAddresses();
  const reverseAuthority = ({ name }: Query): Authority => ({ zone: reverseZoneOf(name), serial });

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

  /** Returns records of types other than addresses, else the SOA record. */
  function replyRecords(
    query: Query,
    transport: Transport,
    records: readonly RecordData[],
    { rcode = 'NOERROR', of = authority }: { rcode?: Rcode; of?: Authority } = {},
  ): Answer {
    const limit = transport === 'udp' ? udpLimit(query) : maxTcpBytes;
    const content = { rcode, authoritative: true, ttl: zoneTtl };
    const said = records.length === 0 ? { authority: of } : { records };
    const packet = encodeReply(query, { ...content, ...said }, limit);
    return { kind: 'reply', packet, rcode, isSelfQuery: query.type === selfQueryType };
  }

  function replyRelative(query: Query, transport: Transport, endpoints?: readonly HasAddress[]): Answer {
    const rcode = endpoints === undefined ? 'NXDOMAIN' : 'NOERROR';
    const isAsked = query.type === types.A || query.type === types.ANY;
    if (endpoints !== undefined && isAsked) return reply(query, rcode, transport, endpoints);
    return { kind: 'reply', packet: encodeFailure(query, rcode), rcode, isSelfQuery: false };
  }

  function apexRecords(query: Query): RecordData[] {
    const isAsked = (type: number) => query.type === type || query.type === types.ANY;
    return [
      ...(isAsked(types.SOA) ? [soaData(query, authority, zoneTtl)] : []),
      ...(isAsked(types.NS) ? [nsData(query, authority)] : []),
    ];
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
          case 'apex':
            return replyRecords(query, transport, apexRecords(query));
          case 'pointers': {
            const isAsked = query.type === types.PTR || query.type === types.ANY;
            const names = isAsked ? holding.names : [];
            const records = names.map(name => ({ type: types.PTR, data: Buffer.from(name, 'latin1') }));
            return replyRecords(query, transport, records, { of: reverseAuthority(query) });
          }
          case 'no pointer':
            return replyRecords(query, transport, [], { rcode: 'NXDOMAIN', of: reverseAuthority(query) });
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
          // The name is in no zone of ours, so there is no SOA record: resolvers do not cache this "no".
          case 'relative':
            return replyRelative(query, transport, holding.endpoints);
          case 'later':
            return holding;
        }
      }
    }
  };
}

/** Encodes a reply that only says why there is no answer. */
export function encodeFailure(query: Query, rcode: Rcode): Buffer {
  return encodeReply(query, { rcode, authoritative: false }, udpLimit(query));
}

/** Caches endpoints as numbers while their list lives: one list is used thousands of times a second. */
function packedAddresses(): (endpoints: readonly HasAddress[]) => Uint32Array {
  const packed = new WeakMap<readonly HasAddress[], Uint32Array>();
  return endpoints => {
    const known = packed.get(endpoints);
    if (known !== undefined) return known;
    // A container with two rows, or with a registration, is one address.
    const distinct = new Set(endpoints.map(({ address }) => address));
    const addresses = Uint32Array.from(distinct, ipv4Number);
    packed.set(endpoints, addresses);
    return addresses;
  };
}
