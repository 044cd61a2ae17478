import { testLog } from '@coold/corrosion/testing';
import { expect, it } from 'vitest';
import type { Reach } from './reach.ts';
import { watchPeers } from './watch-peers.ts';

const peer = (...allowedIps: string[]) => ({
  ...{ publicKey: 'k', endpoint: '', allowedIps, lastHandshakeS: undefined, rx: 0n, tx: 0n },
});

it('tells what the peers lead to', async () => {
  const stop = new AbortController();
  const seen = Promise.withResolvers<Reach>();
  const watching = watchPeers({
    readPeers: async () => [peer('100.64.0.2/32', '10.210.2.0/24'), peer('fd00::/64'), peer()],
    onReach: seen.resolve,
    log: testLog(),
  })(stop.signal);
  const reach = await seen.promise;
  expect(['100.64.0.2', '10.210.2.9', '100.64.0.3'].map(reach)).toEqual([true, true, false]);
  stop.abort();
  await watching;
});

it('tells nothing where there is no interface', async () => {
  const stop = new AbortController();
  const asked = Promise.withResolvers<void>();
  const reaches: Reach[] = [];
  const watching = watchPeers({
    readPeers: async () => {
      asked.resolve();
      return undefined;
    },
    onReach: reach => void reaches.push(reach),
    log: testLog(),
  })(stop.signal);
  await asked.promise;
  stop.abort();
  await watching;
  expect(reaches).toEqual([]);
});

it('what cannot be read is tried again, and is no reason to end', async () => {
  const stop = new AbortController();
  const asked = Promise.withResolvers<void>();
  const watching = watchPeers({
    readPeers: async () => {
      asked.resolve();
      throw new Error('wg: permission denied');
    },
    onReach: () => {},
    log: testLog(),
  })(stop.signal);
  await asked.promise;
  stop.abort();
  await expect(watching).resolves.toBeUndefined();
});
