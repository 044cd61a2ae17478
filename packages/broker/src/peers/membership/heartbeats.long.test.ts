// Heartbeats as they are written, followed and removed, with the stand-in of Corrosion that the scenarios have too.
import { join } from 'node:path';
import { createCorrosion, type Statement } from '@coold/corrosion';
import { scratchFolder } from '@coold/testbed';
import { startStandIn, testLog } from '@coold/testbed/corrosion';
import { soon } from '@coold/testbed/soon';
import { expect, it, vi } from 'vitest';
import { upsertRoute } from '../routes/route.ts';
import { createBrokerLives } from './broker-lives.ts';
import { followHeartbeats } from './follow-heartbeats.ts';
import {
  everyHeartbeat,
  type Heartbeat,
  readHeartbeat,
  removedAtOnce,
  upsertHeartbeat,
} from './heartbeat.ts';
import { createHeartbeatWriter } from './heartbeat-writer.ts';

const never = new AbortController().signal;

async function setUp({ tables, ttlMs = 3000 }: { tables?: readonly string[]; ttlMs?: number } = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const agent = stack.use(
    await startStandIn(join(folder.path, 'corrosion'), tables === undefined ? {} : { tables }),
  );
  const corrosion = createCorrosion({ url: agent.url, tokenFile: undefined });
  const beats = async () => {
    const all: Heartbeat[] = [];
    await corrosion.query(everyHeartbeat, values => all.push(readHeartbeat(values)), never);
    return all.toSorted((a, b) => (a.brokerId < b.brokerId ? -1 : 1));
  };
  const routes = async (brokerId: string) => {
    const counts: unknown[] = [];
    const sql: Statement = ['SELECT count(*) FROM host_routes WHERE broker_id = ?', [brokerId]];
    await corrosion.query(sql, ([count]) => counts.push(count), never);
    return counts[0];
  };
  function start(brokerId: string, { clock = Date.now, removedEveryMs = 0 } = {}) {
    const log = testLog();
    vi.spyOn(log, 'warn');
    vi.spyOn(log, 'debug');
    const died: string[] = [];
    const removed = vi.fn();
    const lives = createBrokerLives({
      ownId: brokerId,
      ttlMs,
      now: () => performance.now(),
      died: dead => void died.push(dead.brokerId),
      revived: () => {},
    });
    const address = `${brokerId}:6444`;
    const writer = createHeartbeatWriter({
      corrosion,
      lives,
      brokerId,
      address,
      ttlMs,
      clock,
      log,
      ttlsUntilRemoval: 1,
    });
    const onRemoved = () => {
      removed();
      writer.beatNow();
    };
    const follower = followHeartbeats(corrosion, lives, {
      ownId: brokerId,
      onRemoved,
      log,
      removedEveryMs,
      absentMs: 100,
      backoff: { firstMs: 20, maxMs: 100 },
    });
    const stop = new AbortController();
    const running = Promise.all([writer.run(stop.signal), follower.run(stop.signal)]);
    /** As a crash does it: nothing is taken away. */
    const kill = async () => {
      stop.abort();
      await running;
    };
    stack.defer(kill);
    return { lives, writer, died, removed, log, kill };
  }
  const insert = (...statements: Statement[]) => corrosion.execute(statements, never);
  return { agent, beats, routes, start, insert, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

it('brokers whose clocks are an hour apart see each other live, and the one that is killed die', async () => {
  await using t = await setUp();
  const [b1, b2, b3] = [
    t.start('b1'),
    t.start('b2', { clock: () => Date.now() - 3_600_000 }),
    t.start('b3', { clock: () => Date.now() + 3_600_000 }),
  ];
  await soon(() => expect(b1.lives.list().map(({ brokerId }) => brokerId)).toEqual(['b2', 'b3']));
  const before = await t.beats();
  await soon(async () => {
    const now = await t.beats();
    expect(now.every(({ beat }, n) => beat > (before[n]?.beat ?? 0) + 6000)).toBe(true);
  });
  expect([b1.died, b2.died, b3.died]).toEqual([[], [], []]);
  await b2.kill();
  await soon(() => expect([b1.died, b3.died]).toEqual([['b2'], ['b2']]));
  const back = t.start('b2');
  await soon(() => expect(b1.lives.isDead('b2')).toBe(false));
  expect(back.died).toEqual([]);
}, 60_000);

it('rows of a dead broker are removed in the end, some at a time, and its heartbeat with the last of them', async () => {
  await using t = await setUp();
  const many = removedAtOnce + 1;
  const hosts = Array.from({ length: many }, (_, n) => `h${n}`);
  await t.insert(
    ...hosts.map(hostId => upsertRoute({ hostId, brokerId: 'gone', address: 'gone:1', connectedAt: 1 })),
    upsertRoute({ hostId: 'kept', brokerId: 'old', address: 'old:1', connectedAt: 1 }),
    upsertHeartbeat({ brokerId: 'gone', address: 'gone:1', beat: 7 }),
  );
  const b1 = t.start('b1');
  await soon(() => expect(b1.died).toEqual(['gone']));
  expect(await t.routes('gone')).toBe(many);
  await soon(async () => expect(await t.routes('gone')).toBe(1), { timeout: 60_000 });
  expect((await t.beats()).map(({ brokerId }) => brokerId)).toEqual(['b1', 'gone']);
  await soon(async () => expect((await t.beats()).map(({ brokerId }) => brokerId)).toEqual(['b1']));
  expect(await t.routes('gone')).toBe(0);
  expect(await t.routes('old'), 'a broker without a heartbeat may live').toBe(1);
}, 120_000);

it('a broker whose row others removed logs it and writes the row again at once', async () => {
  // A heartbeat in 5 s: Corrosion does not tell of a row that is removed and written again within 600 ms.
  await using t = await setUp({ ttlMs: 20_000 });
  const b1 = t.start('b1');
  await soon(async () => expect(await t.beats()).toHaveLength(1));
  // Again and again: what is removed before it was told at all is not told either.
  await soon(
    async () => {
      await t.insert(['DELETE FROM broker_heartbeats', []]);
      expect(b1.removed).toHaveBeenCalled();
    },
    { interval: 1000 },
  );
  await soon(async () => expect(await t.beats()).toHaveLength(1));
}, 60_000);

it('a host that spoils the row of a broker again and again has its rows written again once', async () => {
  await using t = await setUp({ ttlMs: 20_000 });
  const b1 = t.start('b1', { removedEveryMs: 3_600_000 });
  await soon(async () => expect(await t.beats()).toHaveLength(1));
  const leftOut = () =>
    [b1.log.warn, b1.log.debug]
      .flatMap(said => vi.mocked(said).mock.calls)
      .filter(([, message]) => message === 'a heartbeat is left out').length;
  for (let times = 1; times <= 3; times += 1)
    // Again and again: what is mended before it was told at all is not told either.
    await soon(
      async () => {
        await t.insert(['UPDATE broker_heartbeats SET address = ?', ['spoilt']]);
        expect(leftOut()).toBeGreaterThanOrEqual(times);
      },
      { interval: 1000 },
    );
  expect(b1.removed).toHaveBeenCalledTimes(1);
}, 60_000);

it('a broker that leaves takes its row away, and writes it no more', async () => {
  await using t = await setUp();
  const b1 = t.start('b1');
  const b2 = t.start('b2');
  await soon(() => expect(b2.lives.list()).toHaveLength(1));
  await b1.writer.withdraw(never);
  await soon(() => expect(b2.lives.list()).toEqual([]));
  await soon(() => expect(b2.writer.ageMs()).toBeLessThan(3000));
  expect((await t.beats()).map(({ brokerId }) => brokerId)).toEqual(['b2']);
  expect(b2.died).toEqual([]);
}, 60_000);

it('without the table no heartbeats are known, which is logged once; they begin once it exists', async () => {
  await using t = await setUp({ tables: ['host_routes'] });
  const b1 = t.start('b1');
  await soon(() => expect(b1.log.warn).toHaveBeenCalledTimes(1));
  expect(b1.log.warn).toHaveBeenCalledWith(
    expect.objectContaining({ effect: expect.stringContaining('503') }),
    expect.stringContaining('no table broker_heartbeats; install its schema file'),
  );
  await soon(() => expect(b1.writer.ageMs()).toBeUndefined());
  expect(b1.lives.list()).toEqual([]);
  t.agent.installSchemas();
  await t.agent.stop();
  await t.agent.start();
  await soon(async () => expect(await t.beats()).toHaveLength(1));
  expect(b1.writer.ageMs()).toBeLessThan(60_000);
}, 90_000);

it('a row that makes no sense is left out and costs no other its own', async () => {
  await using t = await setUp();
  await t.insert(
    ["INSERT INTO broker_heartbeats (broker_id, address, beat) VALUES ('b b', 'x:1', 1)", []],
    ["INSERT INTO broker_heartbeats (broker_id, address, beat) VALUES ('b8', 'no address', 1)", []],
    upsertHeartbeat({ brokerId: 'b9', address: 'b9:1', beat: 1 }),
  );
  const b1 = t.start('b1');
  await soon(() => expect(b1.lives.list().map(({ brokerId }) => brokerId)).toEqual(['b9']));
  expect(b1.log.warn).toHaveBeenCalledTimes(1);
}, 60_000);
