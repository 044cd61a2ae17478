import { randomInt } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { LeftOut, NamedAddress } from '../../discovery/directory/directory.ts';
import { rcodeName } from '../counts.ts';
import type { Forwarder } from '../forward/forwarder.ts';
import { byte, headerBytes, skipName, types, uint16 } from '../wire.ts';
import { zoneTtl } from './answer.ts';
import { domainText, wireName } from './names.ts';
import type { Zone } from './zone.ts';

/** The result of a name look-up, for people (docs/contract.md §3). */
export interface Lookup {
  name: string;
  inZone: boolean;
  rcode: string;
  /** Seconds. */
  ttl: number;
  answers: { address: string; hostMgmtIp: string; containerId: string }[];
  /** Containers of the name that are not among the answers. */
  leftOut: LeftOut[];
  /** The names of the holders of a reverse name's address; empty for any other name. */
  names: string[];
}

/** Looks up a name's IPv4 addresses as a client would get them. @param name lower-case, without the final dot */
export async function lookUp(name: string, zone: Zone, forwarder: Pick<Forwarder, 'ask'>): Promise<Lookup> {
  const holding = zone.find(wireName(name));
  const local = (rcode: string, answers: Lookup['answers'] = []): Lookup => ({
    name,
    inZone: true,
    rcode,
    ttl: zoneTtl,
    answers,
    leftOut: zone.leftOut(wireName(name)),
    names: [],
  });
  switch (holding.kind) {
    case 'endpoints':
      return local('NOERROR', holding.endpoints.map(plainAnswer));
    case 'pointers':
      return { ...local('NOERROR'), names: holding.names.map(domainText) };
    case 'apex':
    case 'empty':
      return local('NOERROR');
    case 'no pointer':
    case 'missing':
      return local('NXDOMAIN');
    case 'unknown':
      return { ...local('SERVFAIL'), ttl: 0 };
    case 'relative':
      return holding.endpoints === undefined
        ? { ...local('NXDOMAIN'), inZone: false, ttl: 0 }
        : { ...local('NOERROR', holding.endpoints.map(plainAnswer)), inZone: false };
    case 'outside': {
      const answer = await new Promise<Buffer | undefined>(done =>
        forwarder.ask(addressQuery(name), 'tcp', done),
      );
      const nothing = { name, inZone: false, ttl: 0, answers: [], leftOut: [], names: [] };
      if (answer === undefined) return { ...nothing, rcode: 'SERVFAIL' };
      const rcode = rcodeName(byte(answer, 3) & 0x0f);
      const records = readAddresses(answer);
      if (records.length === 0) return { ...nothing, rcode };
      return {
        ...nothing,
        rcode,
        ttl: Math.min(...records.map(({ ttl }) => ttl)),
        answers: records.map(({ address }) => ({ address, hostMgmtIp: '', containerId: '' })),
      };
    }
  }
}

function plainAnswer({ address, hostMgmtIp, containerId }: NamedAddress): Lookup['answers'][number] {
  return { address, hostMgmtIp, containerId };
}

function addressQuery(name: string): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(randomInt(0x10000), 0);
  header.writeUInt16BE(0x0100, 2); // recursion desired
  header.writeUInt16BE(1, 4);
  const end = Buffer.from([0, types.A, 0, 1]);
  return Buffer.concat([header, Buffer.from(wireName(name), 'latin1'), end]);
}

/** Returns the addresses in a message's answers, up to the first malformed record. */
export function readAddresses(message: Buffer): { address: string; ttl: number }[] {
  const found: { address: string; ttl: number }[] = [];
  if (message.length < headerBytes) return found;
  let at = headerBytes;
  for (let index = 0; index < uint16(message, 4); index += 1) {
    const end = skipName(message, at);
    if (end < 0) return found;
    at = end + 4;
  }
  for (let index = 0; index < uint16(message, 6); index += 1) {
    const fixed = skipName(message, at);
    if (fixed < 0 || fixed + 10 > message.length) return found;
    const data = fixed + 10;
    at = data + uint16(message, fixed + 8);
    if (at > message.length) return found;
    const address = [...message.subarray(data, at)].join('.');
    if (uint16(message, fixed) === types.A && uint16(message, fixed + 2) === 1 && isIPv4(address))
      found.push({ address, ttl: message.readUInt32BE(fixed + 4) });
  }
  return found;
}
