// Other brokers are fakes here, for what real ones do not do; real ones are in revocations.long.test.ts.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { RevocationsRequestSchema, RevocationsResponseSchema } from '@coold/proto';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { expect, it, vi } from 'vitest';
import { PeerError } from '../link/peer-call.ts';
import type { PeerPlace } from '../membership/peer-places.ts';
import { followRevocations } from './follow-revocations.ts';
import type { SharedChange } from './shared-list.ts';

const off = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);
const change = (tokenId: string, version = 1n) => ({ tokenId, version, isRevoked: true });

/** @param answer what a peer answers; undefined: it waits for something to tell */
function start(
  peers: () => PeerPlace[],
  answer: (peer: PeerPlace, seen: bigint) => Uint8Array | undefined,
  backoff = { firstMs: 5, maxMs: 5 },
) {
  const asked: string[] = [];
  const taken: SharedChange[] = [];
  const warn = vi.fn();
  const stop = new AbortController();
  const ended = followRevocations({
    brokerId: 'own',
    address: '127.0.0.1:1',
    peers,
    log: { ...off, warn },
    lookEveryMs: 5,
    backoff,
    shared: { merge: changes => void taken.push(...changes) },
    links: {
      to: peer => ({
        async call(_path, bytes, _timeoutMs, signal) {
          asked.push(peer.brokerId);
          const { seen, toBrokerId } = fromBinary(RevocationsRequestSchema, bytes);
          expect(toBrokerId).toBe(peer.brokerId);
          const said = answer(peer, seen);
          if (said !== undefined) return Buffer.from(said);
          await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }));
          throw new PeerError('cancelled', 'is no longer asked');
        },
        forward: () => expect.fail(),
        stream: () => expect.fail(),
        renew() {},
        count: () => 0,
        close() {},
      }),
    },
  })(stop.signal);
  return {
    asked,
    taken,
    warn,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

const respond = (seen: bigint, ...changes: ReturnType<typeof change>[]) =>
  toBinary(RevocationsResponseSchema, create(RevocationsResponseSchema, { epoch: 'e', seen, changes }));
const place = (brokerId: string): PeerPlace => ({ brokerId, address: '127.0.0.1:2' });

it('asks on from where it is, never itself, and leaves out what no list can hold', async () => {
  await using followed = start(
    () => [place('own'), place('b')],
    (_, seen) => {
      if (seen === 0n) return respond(1n, change('a'), change('with a space'), change('b', 0n));
      return seen === 1n ? respond(2n, change('c')) : undefined;
    },
  );
  await expect.poll(() => followed.taken.map(({ tokenId }) => tokenId)).toEqual(['a', 'c']);
  expect(new Set(followed.asked)).toEqual(new Set(['b']));
});

it('says once of a broker that does not tell, such as one of an older version, and asks again', async () => {
  let isOld = true;
  await using followed = start(
    () => [place('b')],
    (_, seen) => {
      if (isOld) throw new PeerError('refused', 'answered with gRPC status 12: no such method');
      return seen === 0n ? respond(1n, change('a')) : undefined;
    },
  );
  await expect.poll(() => followed.asked.length).toBeGreaterThan(5);
  expect(followed.warn).toHaveBeenCalledTimes(1);
  isOld = false;
  await expect.poll(() => followed.taken.length).toBe(1);
});

it('asks those that answer, however many names there are that do not', async () => {
  const good = place('good');
  let peers = Array.from({ length: 100 }, (_, n) => place(`none-${n}`));
  await using followed = start(
    () => peers,
    (peer, seen) => {
      if (peer.brokerId !== 'good') throw new PeerError('unreachable', 'cannot be reached');
      return seen === 0n ? respond(1n, change('a')) : undefined;
    },
  );
  await expect.poll(() => followed.asked.length).toBeGreaterThan(100);
  peers = [...peers, good];
  await expect.poll(() => followed.taken.length).toBe(1);
  peers = peers.filter(peer => peer !== good);
  const before = followed.asked.length;
  await expect.poll(() => followed.asked.length).toBeGreaterThan(before + 100);
  expect(followed.asked.filter(id => id === 'good')).toHaveLength(2);
});

it('asks all that answer, however many they are', async () => {
  const peers = Array.from({ length: 50 }, (_, n) => place(`b${n}`));
  await using followed = start(
    () => peers,
    (peer, seen) => (seen === 0n ? respond(1n, change(peer.brokerId)) : undefined),
  );
  await expect.poll(() => new Set(followed.taken.map(({ tokenId }) => tokenId)).size).toBe(50);
  const asked = followed.asked.length;
  expect(asked, 'each once more, and held').toBe(100);
});

it('makes a pause before it asks one again that has answered nothing at once', async () => {
  let answers = 0;
  await using followed = start(
    () => [place('hasty')],
    (_, seen) => {
      answers += 1;
      if (answers > 1000) throw new Error('asked a thousand times');
      return seen === 0n ? respond(1n, change('a')) : respond(1n);
    },
    { firstMs: 100, maxMs: 100 },
  );
  const startedAt = performance.now();
  await expect.poll(() => followed.asked.length).toBeGreaterThan(3);
  // The first has told something, and is asked on at once.
  expect(performance.now() - startedAt).toBeGreaterThan(150);
});
