import { randomInt } from 'node:crypto';
import type { Logger } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import type { NamedAddress } from '../src/discovery/directory/directory.ts';
import { createDns, type Dns } from '../src/dns/dns.ts';
import type { DnsDirectory } from '../src/dns/zone/directory.ts';
import { wireName } from '../src/dns/zone/names.ts';

export const silent: Logger = createLogger('coold', { level: 'off', components: new Map() }, false);

/** Those that tests give to containers, 10.210.0.0/15; others are of the internet, or of other networks. */
const isMeshAddress = (address: string) => /^10\.21[01]\./.test(address);

/** A directory with these addresses by `<name>.<namespace>`; for tests. */
export function directoryOf(addresses: Record<string, readonly string[]>, isLoaded = true): DnsDirectory {
  const endpoints = new Map<string, readonly NamedAddress[]>(
    Object.entries(addresses).map(([name, list]) => [
      name,
      list.map((address, index) => ({ address, hostMgmtIp: '100.64.0.1', containerId: `${name}-${index}` })),
    ]),
  );
  return {
    find: (namespace, name) => endpoints.get(`${name}.${namespace}`),
    bearers: address =>
      isMeshAddress(address)
        ? [...endpoints].flatMap(([key, list]) => {
            const [name = '', namespace = ''] = key.split('.');
            return list.some(each => each.address === address) ? [{ name, namespace }] : [];
          })
        : undefined,
    hasNamespace: namespace => [...endpoints.keys()].some(name => name.endsWith(`.${namespace}`)),
    leftOut: () => [],
    watch() {},
    isLoaded: () => isLoaded,
    stats: () => ({ rows: endpoints.size, ageMs: 1, connected: true, resubscriptions: 2 }),
  };
}

/** DNS that listens nowhere, of a mesh without containers; for tests of what stands around it. */
export function idleDns(): Dns {
  return createDns({
    zone: 'coolify.internal',
    upstreams: [{ host: '127.0.0.1', port: 9 }],
    namespaces: [],
    directory: directoryOf({}),
    log: silent,
  });
}

/** A query for a name as a stub resolver sends it; for tests. @param udpBytes EDNS(0) with this size */
export function askFor(name: string, type: number, udpBytes?: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(randomInt(0x10000), 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(udpBytes === undefined ? 0 : 1, 10);
  const question = Buffer.from([type >> 8, type & 255, 0, 1]);
  const opt =
    udpBytes === undefined ? [] : [Buffer.from([0, 0, 41, udpBytes >> 8, udpBytes & 255, 0, 0, 0, 0, 0, 0])];
  return Buffer.concat([header, Buffer.from(wireName(name), 'latin1'), question, ...opt]);
}

/** The query as an answer with one address; for tests. @param ttl in s */
export function answerWith(query: Buffer, ttl: number, address = [192, 0, 2, 7]): Buffer {
  const questionEnd = query.indexOf(0, 12) + 5;
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address]);
  record.writeUInt32BE(ttl, 6);
  const answer = Buffer.concat([query.subarray(0, questionEnd), record, query.subarray(questionEnd)]);
  answer.writeUInt16BE(0x8180, 2);
  answer.writeUInt16BE(1, 6);
  return answer;
}

/** The name that a query is about, as it is on the wire; for tests. */
export function askedName(query: Buffer): string {
  return query.toString('latin1', 12, query.indexOf(0, 12) + 1);
}
