import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ndjsonWriter, toJson } from './ndjson.ts';
import { BadStatement, parseStatement } from './statement.ts';
import type { Store } from './store.ts';
import { createSubscriptions, type Subscription } from './subscription.ts';

/** A reader of a stream who lies this many bytes behind is cut off. */
const maxBacklog = 4 << 20;
const maxBody = 16 << 20;

/** The agent's HTTP API: transactions, queries, subscriptions and updates as Corrosion's. */
export function createApiServer(store: Store, bearerToken: string | undefined): Server {
  const subscriptions = createSubscriptions(store);
  const routes: [method: string, path: RegExp, handle: Handler][] = [
    ['POST', /^\/v1\/transactions$/, call => transactions(store, call)],
    ['POST', /^\/v1\/queries$/, call => queries(store, call)],
    ['POST', /^\/v1\/subscriptions$/, call => subscribe(call, subscriptions.of(parseStatement(call.body)))],
    ['GET', /^\/v1\/subscriptions\/([^/]+)$/, call => subscribe(call, subscriptions.byId(call.match))],
    ['POST', /^\/v1\/updates\/([^/]+)$/, call => updates(store, call)],
  ];
  return createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://agent');
    if (bearerToken !== undefined && !isAuthorised(req, bearerToken))
      return answer(res, 401, { error: 'unauthorized' });
    const route = routes.find(([method, path]) => method === req.method && path.test(url.pathname));
    if (route === undefined) return answer(res, 404, { error: 'not found' });
    const [, path, handle] = route;
    readBody(req)
      .then(body => handle({ res, url, body, match: decodeURIComponent(path.exec(url.pathname)?.[1] ?? '') }))
      .catch((error: unknown) => {
        if (res.headersSent) res.destroy();
        else answer(res, error instanceof BadStatement ? 400 : 500, { error: (error as Error).message });
      });
  });
}

interface Call {
  res: ServerResponse;
  url: URL;
  body: unknown;
  /** What the path's group matched. */
  match: string;
}
type Handler = (call: Call) => void;

function transactions(store: Store, { res, body }: Call): void {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  try {
    if (!Array.isArray(body) || body.length === 0) throw new BadStatement('at least 1 statement is required');
    const written = store.transact(body.map(parseStatement));
    const results = written.map(rows_affected => ({ rows_affected, time: seconds() }));
    answer(res, 200, { results, time: seconds(), version: null });
  } catch (error) {
    const status = error instanceof BadStatement ? 400 : 500;
    answer(res, status, { results: [{ error: (error as Error).message }], time: seconds(), version: null });
  }
}

function queries(store: Store, { res, body }: Call): void {
  const started = performance.now();
  const { columns, rows } = store.read(parseStatement(body));
  const write = openStream(res);
  write({ columns });
  for (const [number, values] of rows.entries()) write({ row: [number + 1, values] });
  write({ eoq: { time: (performance.now() - started) / 1000 } });
  res.end();
}

function subscribe({ res, url }: Call, subscription: Subscription | undefined): void {
  if (subscription === undefined) {
    answer(res, 404, { error: 'no such subscription' });
    return;
  }
  const asked = url.searchParams.get('from');
  const frames = subscription.catchUp({
    ...(asked === null ? {} : { from: wholeNumber(asked) }),
    skipRows: url.searchParams.get('skip_rows') === 'true',
  });
  const write = openStream(res, { 'corro-query-id': subscription.id });
  if (frames === undefined) {
    write({ error: `change ${asked} is not known here: start over` });
    res.end();
    return;
  }
  for (const frame of frames) write(frame);
  const stop = subscription.follow(write);
  res.on('close', stop);
}

function updates(store: Store, { res, match: table }: Call): void {
  if (!store.tables.has(table)) {
    answer(res, 404, { error: `no such table: ${table}` });
    return;
  }
  const write = openStream(res);
  const stop = store.onCommit(touched => {
    for (const row of touched.filter(one => one.table === table))
      write({ notify: [row.alive ? 'update' : 'delete', row.key] });
  });
  res.on('close', stop);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new BadStatement('from: expected a change id');
  return Number(text);
}

function openStream(res: ServerResponse, headers: Record<string, string> = {}): (value: unknown) => void {
  res.writeHead(200, { 'content-type': 'application/json', ...headers });
  res.flushHeaders();
  return ndjsonWriter(res, maxBacklog);
}

function answer(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(toJson(body));
}

async function readBody(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBody) throw new BadStatement(`body of more than ${maxBody} bytes`);
    chunks.push(chunk);
  }
  if (req.method === 'GET' || size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new BadStatement(`body is not JSON: ${(error as Error).message}`);
  }
}

function isAuthorised(req: IncomingMessage, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(req.headers.authorization ?? ''), digest(`Bearer ${token}`));
}
