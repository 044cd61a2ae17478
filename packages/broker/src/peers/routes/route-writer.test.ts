// Routes as they are written and followed, with the stand-in of Corrosion that the scenarios have too.
import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { scratchFolder } from '@coold/testbed';
import { startFaultyProxy, startStandIn, testLog } from '@coold/testbed/corrosion';
import { soon } from '@coold/testbed/soon';
import { expect, it } from 'vitest';
import { followRoutes } from './follow-routes.ts';
import { deleteRoute, deleteRoutesOf, everyRoute, type Route, readRoute, upsertRoute } from './route.ts';
import { createRouteTable } from './route-table.ts';
import { createRouteWriter } from './route-writer.ts';

const never = new AbortController().signal;
/** The machine may be busy. */

async function setUp({ auditMs = 30_000, contestedMs = 60_000 } = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const agent = stack.use(await startStandIn(join(folder.path, 'corrosion')));
  const proxy = stack.use(await startFaultyProxy(agent.url));
  const direct = createCorrosion({ url: agent.url, tokenFile: undefined });
  const rows = async () => {
    const all: Route[] = [];
    await direct.query(everyRoute, values => all.push(readRoute(values, Date.now())), never);
    return all.toSorted((a, b) => a.hostId.localeCompare(b.hostId) || a.brokerId.localeCompare(b.brokerId));
  };
  /** A broker's routes, from its start on. */
  const start = (brokerId: string) => {
    const corrosion = createCorrosion({ url: proxy.url, tokenFile: undefined, timeoutMs: 5000 });
    const table = createRouteTable(brokerId, 100_000);
    const backoff = { firstMs: 20, maxMs: 100 };
    const address = `${brokerId}:6444`;
    const writer = createRouteWriter({
      corrosion,
      table,
      brokerId,
      address,
      backoff,
      auditMs,
      contestedMs,
      log: testLog(),
    });
    const on = { onLoaded: writer.loaded, onRegained: writer.doubt };
    const options = { log: testLog(), now: Date.now, backoff, ...on };
    const follower = followRoutes(corrosion, table, options);
    const stop = new AbortController();
    const running = Promise.all([follower.run(stop.signal), writer.run(stop.signal)]);
    /** As a crash does it: nothing is taken away. */
    const kill = async () => {
      stop.abort();
      await running;
    };
    stack.defer(kill);
    return { writer, table, follower, kill };
  };
  const insert = (...routes: Route[]) => direct.execute(routes.map(upsertRoute), never);
  return { agent, proxy, direct, rows, start, insert, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const route = (hostId: string, brokerId: string, connectedAt: number): Route => ({
  hostId,
  brokerId,
  address: `${brokerId}:6444`,
  connectedAt,
});

it('rows follow the hosts; those of an earlier life go at the start, those of others stay', async () => {
  await using t = await setUp();
  await t.insert(route('old', 'b1', 5), route('kept', 'b2', 6));
  const { writer, table } = t.start('b1');
  writer.connected('h1', 100);
  writer.connected('h2', 200);
  await soon(async () =>
    expect(await t.rows()).toEqual([route('h1', 'b1', 100), route('h2', 'b1', 200), route('kept', 'b2', 6)]),
  );
  await soon(() => expect(table.own()).toHaveLength(2));
  writer.disconnected('h1');
  writer.connected('h2', 300);
  await soon(async () => expect(await t.rows()).toEqual([route('h2', 'b1', 300), route('kept', 'b2', 6)]));
  await writer.withdraw(AbortSignal.timeout(5000));
  expect(await t.rows()).toEqual([route('kept', 'b2', 6)]);
});

it('rows missing from a restored database are written again, though its subscription reports no change', async () => {
  await using t = await setUp();
  const { writer, table } = t.start('b1');
  writer.connected('h1', 100);
  await soon(() => expect(table.own()).toHaveLength(1));
  const isOld = Promise.withResolvers<void>();
  t.proxy.fault = async (asked, pass) => {
    if (asked.method !== 'GET') return pass();
    await isOld.promise;
    return pass(line => (line.includes('"change"') ? '{"heartbeat":true}' : line));
  };
  t.proxy.cut();
  await t.direct.execute([deleteRoutesOf('b1')], never);
  isOld.resolve();
  await soon(async () => expect(await t.rows()).toEqual([route('h1', 'b1', 100)]));
  expect(t.proxy.seen.filter(line => line.startsWith('POST /v1/subscriptions'))).toHaveLength(1);
});

it('a host that has moved is found where it is, though the clock of the former broker was ahead', async () => {
  await using t = await setUp();
  const former = t.start('b1');
  const ahead = Date.now() + 60_000;
  former.writer.connected('h', ahead);
  const third = t.start('b3');
  const whereFrom3 = () => third.table.locate('h');
  await soon(() => expect(whereFrom3()).toMatchObject({ route: { brokerId: 'b1' } }));
  await former.kill();
  const next = t.start('b2');
  next.writer.connected('h', Date.now());
  await soon(() => expect(whereFrom3()).toMatchObject({ route: { brokerId: 'b2', connectedAt: ahead + 1 } }));
});

it('while Corrosion fails nothing is lost, and then all is written, in few transactions', async () => {
  await using t = await setUp();
  const { writer, table, follower } = t.start('b1');
  await soon(() => expect(follower.isConnected).toBe(true));
  // A fault that a sound agent does not have.
  t.proxy.fault = async (asked, pass, answer) => {
    if (asked.url !== '/v1/transactions') return pass();
    answer.writeHead(500).end('{"error":"database is locked"}');
  };
  const hosts = Array.from({ length: 10_000 }, (_, n) => `h${n}`);
  for (const [n, hostId] of hosts.entries()) writer.connected(hostId, 1000 + n);
  for (const hostId of hosts.slice(0, 100)) writer.disconnected(hostId);
  await soon(() => expect(writer.stats().failures).toBeGreaterThan(1));
  expect(writer.stats().behind).toBe(10_000);
  await t.agent.stop();
  t.proxy.fault = undefined;
  t.proxy.cut();
  t.proxy.seen.length = 0;
  await t.agent.start();
  await soon(() => expect(table.own()).toHaveLength(9900));
  expect(await t.rows()).toHaveLength(9900);
  expect(writer.stats().behind).toBe(0);
  expect(t.proxy.seen.filter(line => line === 'POST /v1/transactions').length).toBeLessThan(40);
}, 90_000);

it('a transaction whose answer was lost is done again', async () => {
  await using t = await setUp();
  let lost = 0;
  // A fault that a sound agent does not have.
  t.proxy.fault = async (asked, pass, answer) => {
    if (asked.url !== '/v1/transactions' || lost > 0) return pass();
    lost += 1;
    answer.write = () => false;
    answer.end = () => answer.destroy();
    await pass();
  };
  const { writer } = t.start('b1');
  writer.connected('h', 100);
  await soon(() => expect(writer.stats()).toEqual({ behind: 0, failures: 1 }));
  expect(await t.rows()).toEqual([route('h', 'b1', 100)]);
});

it('rows that others took away, put in or changed are put right', async () => {
  await using t = await setUp({ auditMs: 300 });
  const { writer } = t.start('b1');
  writer.connected('h1', 100);
  writer.connected('h2', 200);
  const right = [route('h1', 'b1', 100), route('h2', 'b1', 200)];
  await soon(async () => expect(await t.rows()).toEqual(right));
  await t.direct.execute([deleteRoutesOf('b1')], never);
  await t.insert(route('stray', 'b1', 1), { ...route('h2', 'b1', 200), address: 'elsewhere:1' });
  await soon(async () => expect(await t.rows()).toEqual(right));
});

it('they are put right however much is written meanwhile', async () => {
  await using t = await setUp({ auditMs: 300 });
  const { writer } = t.start('b1');
  writer.connected('h1', 100);
  await soon(async () => expect(await t.rows()).toHaveLength(1));
  let n = 0;
  const churn = setInterval(() => {
    n += 1;
    writer.connected('busy', n);
  }, 20);
  try {
    await t.direct.execute([deleteRoute('h1', 'b1')], never);
    await soon(async () => expect(await t.rows()).toContainEqual(route('h1', 'b1', 100)));
  } finally {
    clearInterval(churn);
  }
});

it('a host is found where it is, though a route of a dead broker is newer', async () => {
  await using t = await setUp({ auditMs: 50, contestedMs: 200 });
  const { writer } = t.start('b2');
  writer.connected('h', 1000);
  await soon(async () => expect(await t.rows()).toEqual([route('h', 'b2', 1000)]));
  const third = t.start('b3');
  await t.insert(route('h', 'b1', 61_000));
  await soon(() =>
    expect(third.table.locate('h')).toMatchObject({ route: { brokerId: 'b2', connectedAt: 61_001 } }),
  );
});

it('a row that cannot be read costs no other', async () => {
  await using t = await setUp();
  await t.insert({ ...route('bad', 'b2', 1), address: 'nonsense' }, route('good', 'b2', 1));
  const { table, follower } = t.start('b1');
  await soon(() => expect(follower.isConnected).toBe(true));
  expect(table.locate('bad')).toEqual({ kind: 'nowhere' });
  expect(table.locate('good')).toMatchObject({ kind: 'other broker' });
  await t.insert({ ...route('good', 'b2', 2), address: 'nonsense' });
  await soon(() => expect(table.locate('good')).toEqual({ kind: 'nowhere' }));
});
