import type { HostStream } from '../src/hosts/hosts.ts';

/** Returns a host's stream that accepts and drops everything. @param more fields that differ */
export function fakeHostStream(hostId: string, more: Partial<HostStream> = {}): HostStream {
  return {
    hostId,
    tokenId: undefined,
    tokenExpiresAt: Number.POSITIVE_INFINITY,
    capabilities: ['coold'],
    builderCapacity: 0,
    cooldVersion: '1.2.3',
    schemaMax: 2,
    connectedAt: new Date(0),
    send: () => true,
    sendOwed: () => {},
    close: () => {},
    ...more,
  };
}
