import { testLog } from '@coold/corrosion/testing';
import { expect, it } from 'vitest';
import { watchPeers } from './watch-peers.ts';

const peer = (...allowedIps: string[]) => ({
  ...{ publicKey: 'k', endpoint: '', allowedIps, lastHandshakeS: undefined, rx: 0n, tx: 0n },
});

it('this host and those that a peer leads to are in the mesh', async () => {
  const stop = new AbortController();
  const seen = Promise.withResolvers<(host: string) => boolean>();
  const watching = watchPeers({
    hostMgmtIp: '100.64.0.1',
    readPeers: async () => [peer('100.64.0.2/32', '10.210.2.0/24'), peer('fd00::/64'), peer()],
    onPeers: seen.resolve,
    log: testLog(),
  })(stop.signal);
  const isPeer = await seen.promise;
  expect(['100.64.0.1', '100.64.0.2', '100.64.0.3'].map(isPeer)).toEqual([true, true, false]);
  stop.abort();
  await watching;
});

it('what cannot be read is tried again, and is no reason to end', async () => {
  const stop = new AbortController();
  const asked = Promise.withResolvers<void>();
  const watching = watchPeers({
    hostMgmtIp: '100.64.0.1',
    readPeers: async () => {
      asked.resolve();
      throw new Error('wg: permission denied');
    },
    onPeers: () => {},
    log: testLog(),
  })(stop.signal);
  await asked.promise;
  stop.abort();
  await expect(watching).resolves.toBeUndefined();
});
