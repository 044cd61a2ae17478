import { testLog } from '@coold/testbed/corrosion';
import { expect, it, vi } from 'vitest';
import { MeshPeers } from './mesh-peers.ts';
import type { Reach } from './reach.ts';

const peer = (...allowedIps: string[]) => ({
  publicKey: 'k',
  endpoint: '',
  allowedIps,
  lastHandshakeS: undefined,
  rx: 0n,
  tx: 0n,
});

it('reports which addresses lead to the peers', async () => {
  const stop = new AbortController();
  const seen = Promise.withResolvers<Reach>();
  const watching = new MeshPeers({
    readPeers: async () => [peer('100.64.0.2/32', '10.210.2.0/24'), peer('fd00::/64'), peer()],
    onReach: seen.resolve,
    log: testLog(),
  }).watch(stop.signal);
  const reach = await seen.promise;
  expect(['100.64.0.2', '10.210.2.9', '100.64.0.3'].map(one => reach(one, '100.64.0.2'))).toEqual([
    true,
    true,
    false,
  ]);
  stop.abort();
  await watching;
});

it('reports nothing while the interface does not exist', async () => {
  const stop = new AbortController();
  const asked = Promise.withResolvers<void>();
  const reaches: Reach[] = [];
  const watching = new MeshPeers({
    readPeers: async () => {
      asked.resolve();
      return undefined;
    },
    onReach: reach => void reaches.push(reach),
    log: testLog(),
  }).watch(stop.signal);
  await asked.promise;
  stop.abort();
  await watching;
  expect(reaches).toEqual([]);
});

it('tries again after a failure, and reports networks once until they change', async () => {
  const stop = new AbortController();
  const answers = [
    () => Promise.reject(new Error('wg: permission denied')),
    async () => [peer('100.64.0.2/32')],
    async () => undefined,
    async () => [peer('100.64.0.2/32')],
    async () => [peer('100.64.0.3/32')],
  ];
  const reported = vi.fn<(reach: Reach) => void>();
  const peers = new MeshPeers({
    readPeers: async () => {
      const answer = answers.shift();
      if (answers.length === 0) stop.abort();
      return answer?.();
    },
    onReach: reported,
    log: testLog(),
    everyMs: 1,
  });
  await peers.watch(stop.signal);
  expect(await peers.firstLook).toBe(false);
  expect(reported).toHaveBeenCalledTimes(2);
  expect(['100.64.0.2', '100.64.0.3'].map(one => peers.has(one))).toEqual([false, true]);
});

it('ends when its signal aborts after a failure', async () => {
  const stop = new AbortController();
  const asked = Promise.withResolvers<void>();
  const watching = new MeshPeers({
    readPeers: async () => {
      asked.resolve();
      throw new Error('wg: permission denied');
    },
    onReach: () => {},
    log: testLog(),
  }).watch(stop.signal);
  await asked.promise;
  stop.abort();
  await expect(watching).resolves.toBeUndefined();
});
