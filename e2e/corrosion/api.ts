import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { answer, BadRequest, createSafeServer, statusOf, urlOf } from './http.ts';
import { type Lines, ndjsonLines } from './ndjson.ts';
import { BadStatement, parseStatement } from './statement.ts';
import type { Store } from './store.ts';
import { createSubscriptions, type Frame, type Subscription } from './subscription.ts';

/** A reader of a stream who lies this many bytes behind what happens is cut off. */
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
  return createSafeServer(async (req, res) => {
    const started = performance.now();
    if (bearerToken !== undefined && !isAuthorised(req, bearerToken))
      return answer(res, 401, { error: 'unauthorized' });
    const url = urlOf(req);
    const route = routes.find(([method, path]) => method === req.method && path.test(url.pathname));
    if (route === undefined) return answer(res, 404, { error: 'not found' });
    const [, path, handle] = route;
    const match = decoded(path.exec(url.pathname)?.[1] ?? '');
    await handle({ res, url, body: await readBody(req), match, started });
  });
}

interface Call {
  res: ServerResponse;
  url: URL;
  body: unknown;
  /** What the path's group matched. */
  match: string;
  /** When it came, by `performance.now`. */
  started: number;
}
type Handler = (call: Call) => void | Promise<void>;

function transactions(store: Store, { res, body, started }: Call): void {
  const seconds = () => (performance.now() - started) / 1000;
  try {
    if (!Array.isArray(body) || body.length === 0) throw new BadStatement('at least 1 statement is required');
    const written = store.transact(body.map(parseStatement));
    const results = written.map(rows_affected => ({ rows_affected, time: seconds() }));
    answer(res, 200, { results, time: seconds(), version: null });
  } catch (error) {
    answer(res, statusOf(error), {
      results: [{ error: (error as Error).message }],
      time: seconds(),
      version: null,
    });
  }
}

async function queries(store: Store, { res, body, started }: Call): Promise<void> {
  const { columns, rows } = store.read(parseStatement(body));
  const frames = function* (): Generator<Frame> {
    yield { columns };
    for (const [number, values] of rows.entries()) yield { row: [number + 1, values] };
    yield { eoq: { time: (performance.now() - started) / 1000 } };
  };
  await openStream(res).writeAll(frames());
  res.end();
}

async function subscribe({ res, url, started }: Call, subscription: Subscription | undefined): Promise<void> {
  if (subscription === undefined) {
    answer(res, 404, { error: 'no such subscription' });
    return;
  }
  const asked = url.searchParams.get('from');
  const frames = subscription.catchUp({
    ...(asked === null ? {} : { from: wholeNumber(asked) }),
    skipRows: url.searchParams.get('skip_rows') === 'true',
    started,
  });
  const stream = openStream(res, { 'corro-query-id': subscription.id });
  if (frames === undefined) {
    stream.write({ error: `change ${asked} is not known here: start over` });
    res.end();
    return;
  }
  // Before anything is waited for, so that no change falls between the rows and those that follow.
  const written = Promise.withResolvers<void>();
  const stop = subscription.follow(frame => {
    stream.write(frame);
    if ('error' in frame) void written.promise.then(() => res.end());
  });
  res.on('close', stop);
  await stream.writeAll(frames);
  written.resolve();
}

function updates(store: Store, { res, match: table }: Call): void {
  if (!store.tables.has(table)) {
    answer(res, 404, { error: `no such table: ${table}` });
    return;
  }
  const stream = openStream(res);
  const stop = store.onCommit(touched => {
    for (const row of touched.filter(one => one.table === table))
      stream.write({ notify: [row.alive ? 'update' : 'delete', row.key] });
  });
  res.on('close', stop);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new BadStatement('from: expected a change id');
  return Number(text);
}

function openStream(res: ServerResponse, headers: Record<string, string> = {}): Lines {
  res.writeHead(200, { 'content-type': 'application/json', ...headers });
  res.flushHeaders();
  return ndjsonLines(res, maxBacklog);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new BadRequest('the path is not percent-encoded UTF-8');
  }
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
