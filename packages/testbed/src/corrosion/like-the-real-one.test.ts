// What the agent does where it is easily taken for something else, as a table. It runs against the stand-in, and against
// Corrosion itself where a `corrosion` is on the PATH, so that neither is taken for the other.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findProgram } from '../programs/find-program.ts';
import { corrosionConfig } from '../services/corrosion-config.ts';

const real = findProgram('corrosion', process.env['PATH'] ?? '');
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const makes = [
  { make: 'the stand-in', program: process.execPath, args: [here('main.ts')] },
  ...(real === undefined ? [] : [{ make: 'Corrosion', program: real, args: [] }]),
];

/** Longer than either takes to start on a busy machine, ms. */
const patient = { timeout: 60_000, interval: 50 };

interface Frame {
  columns?: string[];
  row?: [number, unknown[]];
  eoq?: { change_id?: number };
  change?: [kind: string, rowid: number, values: unknown[], changeId: number];
  error?: string;
}

describe.each(makes)('$make', ({ program, args }) => {
  const folder = mkdtempSync(join(tmpdir(), 'coold-like-'));
  let child: ChildProcess | undefined;
  let said = '';
  let origin = '';

  async function start() {
    child = spawn(program, [...args, 'agent', '--config', join(folder, 'config.toml')], { cwd: folder });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', chunk => {
        said += String(chunk);
      });
    await vi.waitFor(async () => expect((await query('SELECT 1')).status).toBe(200), patient);
  }
  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const begun = performance.now();
    if (child === undefined) return 0;
    const over = once(child, 'exit');
    child.kill(signal);
    await over;
    child = undefined;
    return performance.now() - begun;
  }
  const ask = (path: string, body: string, headers: Record<string, string> = {}) =>
    fetch(`${origin}/v1/${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    });
  const query = (statement: unknown) => ask('queries', JSON.stringify(statement));
  const execute = async (...statements: unknown[]) => {
    const answer = await ask('transactions', JSON.stringify(statements));
    return { status: answer.status, said: (await answer.json()) as Record<string, unknown> };
  };
  const put = (id: string, name = id) => [
    'INSERT OR REPLACE INTO service_endpoints (container_id, container_name) VALUES (?, ?)',
    [id, name],
  ];
  const remove = (id: string) => ['DELETE FROM service_endpoints WHERE container_id = ?', [id]];
  const sql = 'SELECT container_id, container_name FROM service_endpoints';

  /** A stream, and the frames that came of it. */
  async function read(path: string, statement?: unknown) {
    const stop = new AbortController();
    const answer = await fetch(`${origin}/v1/${path}`, {
      method: statement === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      ...(statement === undefined ? {} : { body: JSON.stringify(statement) }),
      signal: stop.signal,
    });
    const frames: Frame[] = [];
    const reading = (async () => {
      let rest = '';
      const decoder = new TextDecoder();
      for await (const chunk of answer.body ?? []) {
        const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) frames.push(JSON.parse(line) as Frame);
      }
    })().catch(() => {});
    return {
      status: answer.status,
      id: answer.headers.get('corro-query-id') ?? '',
      frames,
      changes: () => frames.flatMap(({ change }) => (change === undefined ? [] : [change])),
      async close() {
        stop.abort();
        await reading;
      },
    };
  }

  beforeAll(async () => {
    const port = async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      server.close();
      return typeof address === 'object' && address !== null ? address.port : 0;
    };
    const [api, gossip] = [await port(), await port()];
    origin = `http://127.0.0.1:${api}`;
    const schemas = join(folder, 'schemas');
    mkdirSync(schemas);
    cpSync(
      here('../../../../packaging/corrosion/service_endpoints.sql'),
      join(schemas, 'service_endpoints.sql'),
    );
    writeFileSync(
      join(folder, 'config.toml'),
      corrosionConfig('127.0.0.1', [])
        .replace('/var/lib/corrosion/corrosion.db', join(folder, 'corrosion.db'))
        .replace('/etc/corrosion/schemas', schemas)
        .replace('/run/corrosion/admin.sock', join(folder, 'admin.sock'))
        .replace('127.0.0.1:8787', `127.0.0.1:${gossip}`)
        .replace('127.0.0.1:8080', `127.0.0.1:${api}`),
    );
    await start();
  }, 120_000);
  afterAll(async () => {
    await end('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  it.each<[string, string, string, Record<string, string>, number, RegExp]>([
    ['no JSON content type', 'queries', '"SELECT 1"', { 'content-type': 'text/plain' }, 415, /^[^{]/],
    ['no JSON', 'queries', '"SELECT', {}, 400, /^[^{]/],
    ['JSON of another shape', 'queries', '{"sql":1}', {}, 422, /^[^{]/],
    [
      'a table that is not there',
      'queries',
      '"SELECT * FROM nowhere"',
      {},
      400,
      /^\{"error":"no such table: nowhere/,
    ],
    [
      'a query that writes',
      'queries',
      '"DELETE FROM service_endpoints"',
      {},
      400,
      /^\{"error":"statement is not readonly"\}/,
    ],
    ['a path that is not there', 'nothing', '1', {}, 404, /^$/],
    ['no statements', 'transactions', '[]', {}, 400, /"at least 1 statement is required"/],
    [
      'a write to no table',
      'transactions',
      '["DELETE FROM nowhere"]',
      {},
      500,
      /"results":\[\{"error":"rusqlite: no such table: nowhere \(actor_id: None, version: None\)"/,
    ],
    [
      'a parameter without its colon',
      'transactions',
      '[["DELETE FROM service_endpoints WHERE container_id = :id", {"id": "x"}]]',
      {},
      500,
      /"results":\[\{"error":/,
    ],
    [
      'a parameter with its colon',
      'transactions',
      '[["DELETE FROM service_endpoints WHERE container_id = :id", {":id": "x"}]]',
      {},
      200,
      /"rows_affected":0/,
    ],
    [
      'a subscription from nowhere',
      'subscriptions?from=7',
      '"SELECT state FROM service_endpoints"',
      {},
      400,
      /no existing subscription found/,
    ],
    ['a subscription without a table', 'subscriptions', '"SELECT 1"', {}, 400, /^\{"error":/],
  ])('answers to %s', async (_, path, body, headers, status, text) => {
    const answer = await ask(path, body, headers);
    expect([answer.status, await answer.text()]).toEqual([status, expect.stringMatching(text)]);
  });

  it('answers 405 without a word, and 404 to a subscription that it does not know', async () => {
    const wrong = await fetch(`${origin}/v1/transactions`);
    expect([wrong.status, await wrong.text()]).toEqual([405, '']);
    const unknown = await fetch(`${origin}/v1/subscriptions/6b8a0a7e-0000-4000-8000-000000000000?from=1`);
    expect([unknown.status, await unknown.json()]).toEqual([
      404,
      { error: expect.stringContaining('could not find') },
    ]);
  });

  it('answers 200 to a query that fails on its way', async () => {
    await execute(put('midway', 'no JSON'));
    const answer = await query("SELECT json_extract(container_name, '$.a') FROM service_endpoints");
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(/^\{"columns":\[[^\n]*\n\{"error":"malformed JSON/);
    await execute(remove('midway'));
  });

  it('numbers what changes something, and nothing else, also after a restart', async () => {
    const first = await execute(put('v1'));
    const none = await execute(remove('not there'));
    const second = await execute(remove('v1'));
    expect(none.said['version']).toBeNull();
    expect(Number(second.said['version'])).toBeGreaterThan(Number(first.said['version']));
    expect(first.said['actor_id']).toMatch(/./);
    await end('SIGKILL');
    await start();
    const third = await execute(put('v2'));
    expect(Number(third.said['version'])).toBeGreaterThan(Number(second.said['version']));
    expect(third.said['actor_id']).toBe(first.said['actor_id']);
    await execute(remove('v2'));
  });

  it('sends batches: what is undone within one is left out, deletes come last, and a row that returns is a new one', async () => {
    await execute(put('a'), put('b'));
    const followed = await read('subscriptions', sql);
    await vi.waitFor(() => expect(followed.frames.at(-1)).toHaveProperty('eoq.change_id'), patient);
    await execute(remove('a'), put('a'), remove('b'), put('c'));
    await vi.waitFor(() => expect(followed.changes()).toHaveLength(2), patient);
    expect(followed.changes().map(([kind, , [id]]) => `${kind} ${String(id)}`)).toEqual([
      'insert c',
      'delete b',
    ]);
    await execute(put('b'));
    await vi.waitFor(() => expect(followed.changes()).toHaveLength(3), patient);
    const rowids = new Map(
      followed.frames.flatMap(({ row }) => (row === undefined ? [] : [[row[1][0], row[0]] as const])),
    );
    const [kind, rowid, , changeId] = followed.changes()[2] ?? [];
    const [, , , before] = followed.changes()[1] ?? [];
    expect(kind).toBe('insert');
    expect(rowid).toBeGreaterThan(Math.max(...rowids.values()));
    expect(changeId).toBe(Number(before) + 1);
    await followed.close();

    // 0 is no place to go on from, and one that is not reached yet is no error.
    const anew = await read(`subscriptions/${followed.id}?from=0`);
    await vi.waitFor(() => expect(anew.frames.some(({ eoq }) => eoq !== undefined)).toBe(true), patient);
    await anew.close();
    const ahead = await read(`subscriptions/${followed.id}?from=${Number(changeId) + 50}`);
    await execute(put('d'));
    await vi.waitFor(() => expect(ahead.changes()).toHaveLength(1), patient);
    expect(ahead.changes()[0]?.[3]).toBe(Number(changeId) + 1);
    await ahead.close();
    await execute(...['a', 'b', 'c', 'd'].map(remove));
  }, 120_000);

  it('keeps a subscription over an orderly stop, which takes five seconds, and not over a crash', async () => {
    // A statement of its own, which what other tests wrote does not concern.
    const own = "SELECT container_id FROM service_endpoints WHERE container_name = 'kept'";
    const followed = await read('subscriptions', own);
    await vi.waitFor(() => expect(followed.frames.at(-1)).toHaveProperty('eoq.change_id'), patient);
    await execute(put('kept'));
    await vi.waitFor(() => expect(followed.changes()).toHaveLength(1), patient);
    const [, , , changeId = 0] = followed.changes()[0] ?? [];
    expect(await end('SIGTERM')).toBeGreaterThan(4500);
    await followed.close();
    await start();
    const again = await read(`subscriptions/${followed.id}?from=${changeId}`);
    expect(again.status).toBe(200);
    await execute(remove('kept'));
    await vi.waitFor(() => expect(again.changes().map(([kind]) => kind)).toEqual(['delete']), patient);
    expect(again.changes()[0]?.[3]).toBe(changeId + 1);
    await end('SIGKILL');
    await again.close();
    await start();
    expect((await read(`subscriptions/${followed.id}?from=${changeId}`)).status).toBe(404);
  }, 180_000);

  it('runs without a schema that it rejects, and reports it', async () => {
    const bad = join(folder, 'schemas', 'bad.sql');
    writeFileSync(bad, 'CREATE TABLE bad (id TEXT NOT NULL PRIMARY KEY, no_default TEXT NOT NULL);');
    expect(readFileSync(bad, 'utf8')).toMatch(/bad/);
    await end('SIGKILL');
    said = '';
    await start();
    expect((await query(sql)).status).toBe(200);
    expect((await query('SELECT * FROM bad')).status).toBe(400);
    expect(said).toContain('could not execute schema');
    rmSync(bad);
  }, 120_000);
});
