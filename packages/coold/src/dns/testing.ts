import { randomInt } from 'node:crypto';
import { readdir, readlink } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createLogger, type Logger } from '@coold/runtime';
import type { NamedAddress } from '../discovery/directory.ts';
import { closeOnExec, nonBlocking } from './datagram-sockets.ts';
import type { DnsDirectory } from './directory.ts';
import { createDns, type Dns } from './dns.ts';
import { createEpollLoop, type EpollLoop } from './epoll-loop.ts';
import { type Libc, loadLibc } from './libc.ts';
import { wireName } from './names.ts';

export const silent: Logger = createLogger('coold', { level: 'off', components: new Map() }, false);

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

/** The C library of this machine; for tests. */
export function libcHere(): Libc {
  const libc = loadLibc();
  if (libc === undefined) throw new Error('no C library');
  return libc;
}

/** A loop in this very thread, whose Node has a turn after every millisecond; for tests. */
export function epollHere(): EpollLoop & Disposable & { turns(count: number): Promise<void> } {
  const libc = libcHere();
  const wakeFd = libc.eventfd(0, nonBlocking | closeOnExec);
  const loop = createEpollLoop({ libc, wakeFd, turnMs: () => 1 });
  loop.start();
  return {
    ...loop,
    async turns(count) {
      for (let turn = 0; turn < count; turn += 1) await nextTurn();
    },
    [Symbol.dispose]() {
      loop.close();
      libc.close(wakeFd);
    },
  };
}

/** The sockets of this process, by the kernel's names; for tests. */
export async function ownSockets(): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter(link => link.startsWith('socket:')).sort();
}
