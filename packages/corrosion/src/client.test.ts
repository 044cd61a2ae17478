import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type StandIn, startStandIn } from '../../testbed/src/services/corrosion-stand-in.ts';
import { createCorrosion, type Statement } from './client.ts';

const forever = new AbortController().signal;
const insert = (id: string, name = id): Statement => [
  'INSERT INTO service_endpoints (container_id, container_name) VALUES (?, ?)',
  [id, name],
];
const names: Statement = ['SELECT container_name FROM service_endpoints ORDER BY container_name', []];

let cleanup: AsyncDisposableStack;
let folder: string;
beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  folder = cleanup.use(await scratchFolder()).path;
});
afterEach(() => cleanup.disposeAsync());

describe('an agent', () => {
  let standIn: StandIn;
  const client = (tokenFile?: string) => createCorrosion({ url: standIn.url, tokenFile });
  const all = async (statement: Statement, tokenFile?: string) => {
    const rows: unknown[][] = [];
    await client(tokenFile).query(statement, values => void rows.push(values), forever);
    return rows;
  };
  beforeEach(async () => {
    standIn = cleanup.use(await startStandIn(folder));
  });

  it('runs statements, all of them or none', async () => {
    await client().execute([insert('a'), insert('b', "it's")], forever);
    await expect(client().execute([insert('c'), insert('a')], forever)).rejects.toMatchObject({
      fault: 'refused',
      message: expect.stringContaining('UNIQUE'),
    });
    expect(await all(names)).toEqual([['a'], ["it's"]]);
  });

  it('hands over row by row, more of them than would fit one line or chunk', async () => {
    const many = Array.from({ length: 5000 }, (_, n) => insert(`c${String(n).padStart(4, '0')}`));
    await client().execute(many, forever);
    const rows = await all(names);
    expect(rows).toHaveLength(5000);
    expect(rows.at(-1)).toEqual(['c4999']);
  });

  it('refuses a query that makes no sense, and says why', async () => {
    await expect(all(['SELECT * FROM nowhere', []])).rejects.toMatchObject({
      fault: 'refused',
      message: expect.stringMatching(
        / answered \d+: no such table: nowhere; install the schema file of nowhere and run systemctl reload/,
      ),
    });
  });

  it('that is down is unreachable, and asked again once it is back', async () => {
    const corrosion = client();
    await corrosion.execute([insert('a')], forever);
    await standIn.stop();
    await expect(corrosion.execute([insert('b')], forever)).rejects.toMatchObject({ fault: 'unreachable' });
    await standIn.start();
    await corrosion.execute([insert('b')], forever);
    expect(await all(names)).toEqual([['a'], ['b']]);
  });

  it('passes rows and changes to a subscription, and where to resume', async () => {
    const corrosion = client();
    await corrosion.execute([insert('a')], forever);
    const stop = new AbortController();
    const frames: unknown[] = [];
    let id: string | undefined;
    const statement: Statement = ['SELECT container_name FROM service_endpoints', []];
    const followed = corrosion.subscribe(
      { statement },
      {
        open(given) {
          id = given;
        },
        frame(frame) {
          frames.push(frame);
          if (frame.kind === 'end') void corrosion.execute([insert('b')], forever);
          if (frame.kind === 'change') stop.abort();
        },
      },
      stop.signal,
    );
    await expect(followed).rejects.toMatchObject({ name: 'CorrosionError' });
    expect(frames).toEqual([
      { kind: 'columns', names: ['container_name'] },
      { kind: 'row', values: ['a'] },
      { kind: 'end', changeId: 0 },
      { kind: 'change', change: 'insert', values: ['b'], changeId: 1 },
    ]);
    expect(id).toMatch(/./);

    await corrosion.execute([insert('c')], forever);
    const again = new AbortController();
    const more: unknown[] = [];
    const resumed = corrosion.subscribe(
      { id: id ?? '', from: 1 },
      {
        open() {},
        frame(frame) {
          more.push(frame);
          again.abort();
        },
      },
      again.signal,
    );
    await expect(resumed).rejects.toThrow();
    expect(more).toEqual([{ kind: 'change', change: 'insert', values: ['c'], changeId: 2 }]);
  });
});

describe('the bearer token', () => {
  it('is read from its file at every call', async () => {
    const standIn = cleanup.use(await startStandIn(folder, { bearerToken: 'second' }));
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'first\n', { mode: 0o600 });
    const corrosion = createCorrosion({ url: standIn.url, tokenFile });
    await expect(corrosion.execute([insert('a')], forever)).rejects.toMatchObject({
      fault: 'refused',
      message: expect.stringMatching(/ 401: the token is wrong: it must be that of api.authz.bearer-token /),
    });
    await expect(
      createCorrosion({ url: standIn.url, tokenFile: undefined }).execute([insert('a')], forever),
    ).rejects.toMatchObject({
      fault: 'refused',
      message: expect.stringMatching(/ 401: it wants a token, and no token file is configured$/),
    });
    await writeFile(tokenFile, 'second\n');
    await corrosion.execute([insert('a')], forever);
  });
});

/** What neither Corrosion nor its stand-in can be made to do. */
describe('an agent that fails', () => {
  const fake = async (listener: RequestListener) => {
    const server = createServer(listener);
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    cleanup.defer(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    return createCorrosion({ url: `http://127.0.0.1:${port}`, tokenFile: undefined, timeoutMs: 200 });
  };

  it.each([
    ['says that it failed with a 200', 200, '{"results":[{"error":"disk full"}],"time":0}', 'refused'],
    ['answers another number of results', 200, '{"results":[],"time":0}', 'malformed'],
    ['answers no JSON', 200, '<html>', 'malformed'],
    ['answers 500 without a word', 500, '', 'refused'],
  ])('and %s', async (_, status, text, fault) => {
    const corrosion = await fake((_asked, answer) => {
      answer.writeHead(status);
      answer.end(text);
    });
    await expect(corrosion.execute([insert('a')], forever)).rejects.toMatchObject({ fault });
  });

  it.each([
    ['never answers', (() => {}) as RequestListener],
    [
      'stops in the middle of its rows',
      ((_, answer) => void answer.write('{"row":[1,["a"]]}\n')) as RequestListener,
    ],
  ])('fails every request because it %s', async (_, listener) => {
    const corrosion = await fake(listener);
    const unreachable = expect.objectContaining({ fault: 'unreachable' });
    await expect(corrosion.execute([insert('a')], forever)).rejects.toEqual(unreachable);
    await expect(corrosion.query(names, () => {}, forever)).rejects.toEqual(unreachable);
    const on = { open() {}, frame() {} };
    await expect(corrosion.subscribe({ statement: names }, on, forever)).rejects.toEqual(unreachable);
  });

  it('whose rows never end is given up, however steadily they come', async () => {
    const corrosion = await fake((_asked, answer) => {
      const more = setInterval(() => answer.write('{"row":[1,["a"]]}\n'), 20);
      answer.on('close', () => clearInterval(more));
    });
    const unreachable = { fault: 'unreachable' };
    await expect(corrosion.query(names, () => {}, forever)).rejects.toMatchObject(unreachable);
    const on = { open() {}, frame() {} };
    await expect(corrosion.subscribe({ statement: names }, on, forever)).rejects.toMatchObject(unreachable);
  });

  it('by ending its rows too early has not answered', async () => {
    const corrosion = await fake((_asked, answer) => answer.end('{"columns":["a"]}\n{"row":[1,["a"]]}\n'));
    await expect(corrosion.query(names, () => {}, forever)).rejects.toMatchObject({ fault: 'unreachable' });
  });

  it('within its rows has failed', async () => {
    const corrosion = await fake((_asked, answer) => answer.end('{"row":[1,["a"]]}\n{"error":"locked"}\n'));
    await expect(corrosion.query(names, () => {}, forever)).rejects.toMatchObject({
      fault: 'refused',
      message: expect.stringContaining('locked'),
    });
  });
});
