import { ipv4Number } from '@coold/udp-io';
import {
  type Authority,
  encodeHeader,
  encodeReply,
  nsData,
  type Query,
  type Rcode,
  type RecordData,
  type Reply,
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
  const answering = new ZoneAnswering(zone, serial);
  return (packet, transport) => answering.answer(packet, transport);
}

class ZoneAnswering {
  readonly #zone: AnswerableZone;
  readonly #serial: number;
  readonly #authority: Authority;
  readonly #addressesOf = packedAddresses();

  constructor(zone: AnswerableZone, serial: number) {
    this.#zone = zone;
    this.#serial = serial;
    this.#authority = { zone: zone.wire, serial };
  }

  answer(packet: Buffer, transport: Transport): Answer {
    const received = readQuery(packet);
    switch (received.kind) {
      case 'ignored':
        return { kind: 'ignored' };
      case 'refused': {
        const { rcode, query } = received;
        const refusal = query === undefined ? encodeHeader(packet, rcode) : encodeFailure(query, rcode);
        return { kind: 'reply', packet: refusal, rcode, isSelfQuery: false };
      }
      case 'query':
        return this.#answerQuery(received.query, transport);
    }
  }

  #answerQuery(query: Query, transport: Transport): Answer {
    const holding = this.#zone.find(query.name);
    switch (holding.kind) {
      case 'endpoints':
        return this.#reply(
          query,
          'NOERROR',
          transport,
          isAsked(query, types.A) ? holding.endpoints : undefined,
        );
      case 'apex':
        return this.#replyRecords(query, transport, this.#apexRecords(query));
      case 'pointers': {
        const names = isAsked(query, types.PTR) ? holding.names : [];
        const records = names.map(name => ({ type: types.PTR, data: Buffer.from(name, 'latin1') }));
        return this.#replyRecords(query, transport, records, { of: this.#reverseAuthority(query) });
      }
      case 'no pointer':
        return this.#replyRecords(query, transport, [], {
          rcode: 'NXDOMAIN',
          of: this.#reverseAuthority(query),
        });
      case 'empty':
        return this.#reply(query, 'NOERROR', transport);
      case 'missing':
        return this.#reply(query, 'NXDOMAIN', transport);
      case 'unknown':
        return replyFailure(query, 'SERVFAIL');
      case 'outside':
        return { kind: 'forward', query };
      // The name is in no zone of ours, so there is no SOA record: resolvers do not cache this "no".
      case 'relative':
        if (holding.endpoints === undefined) return replyFailure(query, 'NXDOMAIN');
        return isAsked(query, types.A)
          ? this.#reply(query, 'NOERROR', transport, holding.endpoints)
          : replyFailure(query, 'NOERROR');
      case 'later':
        return holding;
    }
  }

  /** Returns address records, else the SOA record. */
  #reply(query: Query, rcode: Rcode, transport: Transport, endpoints?: readonly HasAddress[]): Answer {
    const addresses = endpoints === undefined ? undefined : this.#addressesOf(endpoints);
    const said =
      addresses === undefined || addresses.length === 0 ? { authority: this.#authority } : { addresses };
    return replyWith(query, transport, { rcode, authoritative: true, ttl: zoneTtl, ...said });
  }

  /** Returns records of types other than addresses, else the SOA record. */
  #replyRecords(
    query: Query,
    transport: Transport,
    records: readonly RecordData[],
    { rcode = 'NOERROR', of = this.#authority }: { rcode?: Rcode; of?: Authority } = {},
  ): Answer {
    const said = records.length === 0 ? { authority: of } : { records };
    return replyWith(query, transport, { rcode, authoritative: true, ttl: zoneTtl, ...said });
  }

  #apexRecords(query: Query): RecordData[] {
    return [
      ...(isAsked(query, types.SOA) ? [soaData(query, this.#authority, zoneTtl)] : []),
      ...(isAsked(query, types.NS) ? [nsData(query, this.#authority)] : []),
    ];
  }

  #reverseAuthority({ name }: Query): Authority {
    return { zone: reverseZoneOf(name), serial: this.#serial };
  }
}

function isAsked({ type }: Query, wanted: number): boolean {
  return type === wanted || type === types.ANY;
}

function replyWith(query: Query, transport: Transport, content: Reply): Answer {
  const packet = encodeReply(query, content, transport === 'udp' ? udpLimit(query) : maxTcpBytes);
  return { kind: 'reply', packet, rcode: content.rcode, isSelfQuery: query.type === selfQueryType };
}

function replyFailure(query: Query, rcode: Rcode): Answer {
  return { kind: 'reply', packet: encodeFailure(query, rcode), rcode, isSelfQuery: false };
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
