import { createLogger, type Logger } from '@coold/runtime';
import type { DnsDirectory, DnsEndpoint } from './directory.ts';
import { createDns, type Dns } from './dns.ts';

export const silent: Logger = createLogger('coold', { level: 'off', components: new Map() }, false);

/** A directory with these addresses by `<name>.<namespace>`; for tests. */
export function directoryOf(addresses: Record<string, readonly string[]>, isLoaded = true): DnsDirectory {
  const endpoints = new Map<string, readonly DnsEndpoint[]>(
    Object.entries(addresses).map(([name, list]) => [
      name,
      list.map((address, index) => ({ address, hostMgmtIp: '100.64.0.1', containerId: `${name}-${index}` })),
    ]),
  );
  return {
    find: (namespace, name) => endpoints.get(`${name}.${namespace}`),
    isLoaded: () => isLoaded,
    stats: () => ({ rows: endpoints.size, ageMs: 1, connected: true, resubscriptions: 2 }),
  };
}

/** DNS that listens nowhere, of a mesh without containers; for tests of what stands around it. */
export function idleDns(): Dns {
  return createDns({
    zone: 'coolify.internal',
    upstream: { host: '127.0.0.1', port: 9 },
    namespaces: [],
    directory: directoryOf({}),
    log: silent,
  });
}
