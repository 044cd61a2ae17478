import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Agent, startAgent } from './agent.ts';
import type { Endpoint } from './config.ts';

const schema = `CREATE TABLE endpoints (
  container_id TEXT NOT NULL DEFAULT '' PRIMARY KEY, name TEXT NOT NULL DEFAULT '', port INTEGER NOT NULL DEFAULT 0);
CREATE TABLE other (id INTEGER NOT NULL PRIMARY KEY, at REAL NOT NULL DEFAULT 0);`;

let folder: string;
let closing: (() => Promise<void> | void)[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coold-agent-'));
  writeFileSync(join(folder, 'endpoints.sql'), schema);
  closing = [];
});

afterEach(async () => {
  for (const close of closing.toReversed()) await close();
  rmSync(folder, { recursive: true });
});

const anyPort = { host: '127.0.0.1', port: 0 };

async function start(
  name: string,
  options: { bearerToken?: string; gossip?: Endpoint } = {},
): Promise<Agent> {
  const agent = await startAgent(
    {
      dbPath: join(folder, `${name}.db`),
      schemaPaths: [folder],
      gossip: options.gossip ?? anyPort,
      bootstrap: [],
      api: anyPort,
      bearerToken: options.bearerToken,
    },
    { batchMs: 0 },
  );
  closing.push(() => agent.close());
  return agent;
}

const url = (agent: Agent, path: string) => `http://127.0.0.1:${agent.api.port}/v1/${path}`;
const post = (agent: Agent, path: string, body: unknown, headers = {}) =>
  fetch(url(agent, path), {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });

async function write(agent: Agent, ...statements: unknown[]): Promise<void> {
  const response = await post(agent, 'transactions', statements);
  expect(await response.json()).toMatchObject({
    results: statements.map(() => ({ rows_affected: expect.any(Number) })),
  });
}

async function lines(response: Response): Promise<unknown[]> {
  const text = await response.text();
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as unknown);
}

const namesOn = async (agent: Agent): Promise<unknown[]> => {
  const frames = await lines(await post(agent, 'queries', 'SELECT name FROM endpoints ORDER BY name'));
  return frames.flatMap(frame =>
    'row' in (frame as object) ? (frame as { row: [number, unknown[]] }).row[1] : [],
  );
};

/** Reads a stream frame by frame; ends with the test. */
function frames(response: Response): (count: number) => Promise<unknown[]> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  closing.push(() => reader.cancel().catch(() => undefined));
  const decoder = new TextDecoder();
  let rest = '';
  return async count => {
    const got: unknown[] = [];
    while (got.length < count) {
      const end = rest.indexOf('\n');
      if (end >= 0) {
        got.push(JSON.parse(rest.slice(0, end)));
        rest = rest.slice(end + 1);
        continue;
      }
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended after ${JSON.stringify(got)}`);
      rest += decoder.decode(value, { stream: true });
    }
    return got;
  };
}

const insert = (id: string, name = id, port = 80) => [
  'INSERT INTO endpoints VALUES (?, ?, ?)',
  [id, name, port],
];

test('transactions answer per statement; a failed one undoes the others and is not a 2xx', async () => {
  const agent = await start('a');
  const good = await post(agent, 'transactions', [
    insert('c1'),
    { query: 'UPDATE endpoints SET port = :p', named_params: { ':p': 1 } },
  ]);
  expect(good.status).toBe(200);
  expect(await good.json()).toMatchObject({
    results: [{ rows_affected: 1 }, { rows_affected: 1 }],
    time: expect.any(Number),
  });
  const bad = await post(agent, 'transactions', [insert('c2'), 'INSERT INTO nowhere VALUES (1)']);
  expect(bad.status).toBe(500);
  expect(await bad.json()).toMatchObject({ results: [{ error: expect.stringContaining('no such table') }] });
  const statuses = await Promise.all(
    [[], {}, 'SELECT 1', [1]].map(async body => (await post(agent, 'transactions', body)).status),
  );
  expect(statuses).toEqual([400, 422, 422, 422]);
  expect(await namesOn(agent)).toEqual(['c1']);
});

test('queries answer columns, numbered rows and the end', async () => {
  const agent = await start('a');
  await write(agent, insert('c1'), insert('c2', 'two', 81));
  expect(
    await lines(await post(agent, 'queries', ['SELECT name, port FROM endpoints WHERE port > ?', [0]])),
  ).toEqual([
    { columns: ['name', 'port'] },
    { row: [1, ['c1', 80]] },
    { row: [2, ['two', 81]] },
    { eoq: { time: expect.any(Number) } },
  ]);
  const bad = await post(agent, 'queries', 'SELECT * FROM nowhere');
  expect([bad.status, await bad.json()]).toEqual([400, { error: expect.stringContaining('no such table') }]);
  expect((await post(agent, 'queries', 'DELETE FROM endpoints')).status).toBe(400);
  expect(await namesOn(agent)).toEqual(['c1', 'two']);
});

test('a subscription sends rows, then every change with contiguous ids, and no others', async () => {
  const agent = await start('a');
  await write(agent, insert('c1'));
  const response = await post(agent, 'subscriptions', 'SELECT name, port FROM endpoints WHERE port < 100');
  expect(response.headers.get('corro-query-id')).toMatch(/./);
  const next = frames(response);
  expect(await next(3)).toEqual([
    { columns: ['name', 'port'] },
    { row: [1, ['c1', 80]] },
    { eoq: { time: expect.any(Number), change_id: 0 } },
  ]);
  await write(agent, insert('c2'), 'INSERT INTO other (id) VALUES (1)', insert('unseen', 'unseen', 1000));
  await write(agent, "UPDATE endpoints SET port = 80 WHERE container_id = 'c2'");
  await write(agent, "UPDATE endpoints SET port = 81 WHERE container_id = 'c1'");
  await write(agent, "UPDATE endpoints SET port = 101 WHERE container_id = 'c1'");
  await write(agent, "DELETE FROM endpoints WHERE container_id = 'c2'");
  await write(agent, "UPDATE endpoints SET port = 99 WHERE container_id = 'c1'");
  expect(await next(5)).toEqual([
    { change: ['insert', 2, ['c2', 80], 1] },
    { change: ['update', 1, ['c1', 81], 2] },
    { change: ['delete', 1, ['c1', 81], 3] },
    { change: ['delete', 2, ['c2', 80], 4] },
    { change: ['insert', 3, ['c1', 99], 5] },
  ]);
});

test('a subscription is taken up again where it was left, by statement or by id', async () => {
  const agent = await start('a');
  const sql = 'SELECT name FROM endpoints';
  const first = await post(agent, 'subscriptions', sql);
  const id = first.headers.get('corro-query-id') ?? '';
  await frames(first)(2);
  await write(agent, insert('c1'));
  await write(agent, insert('c2'));
  const missed = [{ change: ['insert', 2, ['c2'], 2] }];
  expect(await frames(await post(agent, 'subscriptions?from=1', sql))(1)).toEqual(missed);
  const byId = frames(await fetch(url(agent, `subscriptions/${id}?from=1`)));
  expect(await byId(1)).toEqual(missed);
  await write(agent, insert('c3'));
  expect(await byId(1)).toEqual([{ change: ['insert', 3, ['c3'], 3] }]);
  const skipping = frames(await post(agent, 'subscriptions?skip_rows=true', sql));
  const ahead = frames(await post(agent, 'subscriptions?from=99', sql));
  expect(await frames(await post(agent, 'subscriptions?from=0', sql))(1)).toEqual([{ columns: ['name'] }]);
  await write(agent, insert('c4'));
  for (const next of [skipping, ahead]) expect(await next(1)).toEqual([{ change: ['insert', 4, ['c4'], 4] }]);
  expect((await fetch(url(agent, 'subscriptions/none'))).status).toBe(400);
  expect((await fetch(url(agent, 'subscriptions/6b8a0a7e-0000-4000-8000-000000000000'))).status).toBe(404);
  expect((await post(agent, 'subscriptions?from=1', 'SELECT port FROM endpoints')).status).toBe(400);
  expect((await post(agent, 'subscriptions?from=x', sql)).status).toBe(400);
});

test('what cannot be followed is refused', async () => {
  const agent = await start('a');
  for (const sql of [
    'SELECT count(*) FROM endpoints',
    'SELECT 1',
    'SELECT * FROM endpoints ORDER BY name',
    'DELETE FROM endpoints',
    'SELECT * FROM nowhere',
  ])
    expect((await post(agent, 'subscriptions', sql)).status, sql).toBe(400);
});

test('a reader who does not read is cut off, and costs nobody else', { timeout: 30_000 }, async () => {
  const agent = await start('a');
  const idle = connect(agent.api.port, agent.api.host);
  closing.push(() => void idle.destroy());
  const body = JSON.stringify('SELECT * FROM endpoints');
  idle.pause();
  const head = 'POST /v1/subscriptions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
  idle.write(`${head}content-length: ${body.length}\r\n\r\n${body}`);
  const diligent = frames(await post(agent, 'subscriptions', 'SELECT port FROM endpoints'));
  await diligent(2);
  const large = 'x'.repeat(1 << 20);
  for (let n = 0; n < 16; n += 1) await write(agent, insert(`c${n}`, large, n));
  expect(await diligent(16)).toHaveLength(16);
  const ended = new Promise(resolve => idle.once('close', resolve));
  idle.on('error', () => {});
  let received = 0;
  idle.on('data', chunk => {
    received += chunk.length;
  });
  idle.resume();
  await ended;
  expect(received).toBeLessThan(16 << 20);
});

test('a large answer is sent completely, and a change that comes meanwhile after it', async () => {
  const agent = await start('a');
  await write(agent, [
    `INSERT INTO endpoints WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
     SELECT 'c' || i, printf('%0200d', i), i FROM n`,
  ]);
  const sql = 'SELECT container_id, name FROM endpoints';
  const answered = await lines(await post(agent, 'queries', sql));
  expect(answered).toHaveLength(40_002);
  expect(answered.at(-1)).toEqual({ eoq: { time: expect.any(Number) } });
  const response = await post(agent, 'subscriptions', sql);
  await write(agent, insert('late', 'late'));
  const told = await frames(response)(40_003);
  expect(told.slice(-2)).toEqual([
    { eoq: { time: expect.any(Number), change_id: 0 } },
    { change: ['insert', 40_001, ['late', 'late'], 1] },
  ]);
});

test('the end of the rows of a subscription says how long they took', async () => {
  const agent = await start('a');
  const [, end] = await frames(await post(agent, 'subscriptions', 'SELECT name FROM endpoints'))(2);
  expect((end as { eoq: { time: number } }).eoq.time).toBeGreaterThan(0);
});

test('a row that a subscription cannot look at ends it, and neither the write nor other readers', async () => {
  const agent = await start('a');
  const sql = "SELECT name FROM endpoints WHERE json_extract(name, '$.a') = 1";
  const broken = await post(agent, 'subscriptions', sql);
  const whole = frames(await post(agent, 'subscriptions', 'SELECT name FROM endpoints'));
  await whole(2);
  await write(agent, insert('c1', 'no JSON'));
  expect(await whole(1)).toEqual([{ change: ['insert', 1, ['no JSON'], 1] }]);
  expect((await lines(broken)).at(-1)).toEqual({ error: expect.stringContaining('JSON') });
});

test('a statement is one statement', async () => {
  const agent = await start('a');
  const two = 'SELECT name FROM endpoints; DELETE FROM endpoints';
  expect((await post(agent, 'transactions', [insert('c1'), two])).status).toBe(500);
  for (const path of ['queries', 'subscriptions'])
    expect((await post(agent, path, two)).status, path).toBe(400);
  expect((await post(agent, 'queries', 'SELECT 1; -- and /* no */ more')).status).toBe(200);
  expect(await namesOn(agent)).toEqual([]);
});

test('no request ends the agent, whatever it asks', async () => {
  const agent = await start('a', { bearerToken: 'secret' });
  const statusOf = (port: number, path: string, authorization = 'Bearer secret') =>
    new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port, path, headers: { authorization } }, res => {
        res.resume();
        resolve(res.statusCode);
      });
      call.on('error', reject);
      call.end();
    });
  expect(await statusOf(agent.api.port, '//', '')).toBe(401);
  expect(await statusOf(agent.api.port, '//')).toBe(400);
  expect(await statusOf(agent.api.port, '/v1/subscriptions/%')).toBe(400);
  expect(await statusOf(agent.gossip.port, '//')).toBe(400);
  expect(await statusOf(agent.gossip.port, '/versions?since=x')).toBe(400);
});

test("updates name the keys of a table's rows", async () => {
  const agent = await start('a');
  const next = frames(await post(agent, 'updates/endpoints', undefined));
  await write(agent, insert('c1'), 'INSERT INTO other (id) VALUES (1)');
  await write(agent, 'DELETE FROM endpoints');
  expect(await next(2)).toEqual([{ notify: ['update', ['c1']] }, { notify: ['delete', ['c1']] }]);
  expect((await post(agent, 'updates/nowhere', undefined)).status).toBe(404);
});

test('with a token, nothing is answered without it', async () => {
  const agent = await start('a', { bearerToken: 'secret' });
  for (const authorization of ['', 'Bearer wrong', 'secret'])
    expect((await post(agent, 'queries', 'SELECT 1', { authorization })).status).toBe(401);
  expect((await post(agent, 'queries', 'SELECT 1', { authorization: 'Bearer secret' })).status).toBe(200);
});

test('rows written on one agent appear on all, also through a third, and as changes', async () => {
  const [a, b, c] = [await start('a'), await start('b'), await start('c')];
  b.join(a.gossip);
  c.join(b.gossip);
  const onC = frames(await post(c, 'subscriptions', 'SELECT name FROM endpoints'));
  await onC(2);
  await write(a, insert('c1', 'far'));
  expect(await onC(1)).toEqual([{ change: ['insert', 1, ['far'], 1] }]);
  await write(a, "DELETE FROM endpoints WHERE container_id = 'c1'");
  expect(await onC(1)).toEqual([{ change: ['delete', 1, ['far'], 2] }]);
});

test('sides of a partition become one again when it ends, without anything being lost', {
  timeout: 30_000,
}, async () => {
  const [a, b] = [await start('a'), await start('b')];
  const cable = await createCable(a.gossip);
  b.join(cable.endpoint);
  a.join(b.gossip);
  await write(a, insert('shared'));
  await expect.poll(() => namesOn(b), { timeout: 10_000 }).toEqual(['shared']);
  cable.cut();
  await write(a, insert('from-a'), "DELETE FROM endpoints WHERE container_id = 'shared'");
  await write(b, insert('from-b'));
  // Longer than the silence after which a peer is given up.
  await expect.poll(() => cable.lost(), { timeout: 10_000 }).toBeGreaterThan(0);
  expect(await namesOn(b)).toEqual(['from-b', 'shared']);
  cable.heal();
  await expect.poll(() => namesOn(b), { timeout: 10_000 }).toEqual(['from-a', 'from-b']);
  await expect.poll(() => namesOn(a), { timeout: 10_000 }).toEqual(['from-a', 'from-b']);
});

test('an agent that is started again has its rows and catches up', { timeout: 30_000 }, async () => {
  const [a, b] = [await start('a'), await start('b')];
  b.join(a.gossip);
  await write(a, insert('before'));
  await expect.poll(() => namesOn(b), { timeout: 10_000 }).toEqual(['before']);
  await a.close();
  const again = await start('a', { gossip: a.gossip });
  await write(again, insert('after'));
  await expect.poll(() => namesOn(b), { timeout: 10_000 }).toEqual(['after', 'before']);
});

/** A way to an agent that can be cut as a network is: nothing arrives any more, and nobody is told. */
async function createCable(target: Endpoint) {
  let isCut = false;
  let lost = 0;
  const sockets = new Set<Socket>();
  const server = createServer(near => {
    const far = connect(target.port, target.host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', chunk => void (isCut ? 0 : to.write(chunk)));
      from.on('error', () => {});
      from.on('close', () => {
        if (isCut) lost += 1;
        to.destroy();
      });
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    endpoint: { host: '127.0.0.1', port: address.port },
    lost: () => lost,
    cut: () => {
      isCut = true;
    },
    heal: () => {
      isCut = false;
    },
  };
}
