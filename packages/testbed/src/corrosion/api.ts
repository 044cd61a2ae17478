import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { answer, answerEmpty, BadRequest, createSafeServer, urlOf } from './http.ts';
import { type Lines, ndjsonLines } from './ndjson.ts';
import { BadSql, BadStatement, parseStatement } from './statement.ts';
import type { Store } from './store.ts';
import type { Frame, Subscription, Subscriptions } from './subscription.ts';

/** A reader of a stream who lies this many bytes behind what happens is cut off. */
const maxBacklog = 4 << 20;
const maxBody = 16 << 20;

/** The agent's HTTP API: transactions, queries, subscriptions and updates as Corrosion's. */
export function createApiServer(
  store: Store,
  subscriptions: Subscriptions,
  bearerToken: string | undefined,
): Server {
  const routes: [method: string, path: RegExp, handle: Handler][] = [
    ['POST', /^\/v1\/transactions$/, call => transactions(store, call)],
    ['POST', /^\/v1\/queries$/, call => queries(store, call)],
    ['POST', /^\/v1\/subscriptions$/, call => subscribe(call, subscriptionOf(call, subscriptions))],
    ['GET', /^\/v1\/subscriptions\/([^/]+)$/, call => subscribe(call, subscriptionById(call, subscriptions))],
    ['POST', /^\/v1\/updates\/([^/]+)$/, call => updates(store, call)],
  ];
  return createSafeServer(async (req, res) => {
    const started = performance.now();
    if (bearerToken !== undefined && !isAuthorised(req, bearerToken)) return answerEmpty(res, 401);
    const url = urlOf(req);
    const there = routes.filter(([, path]) => path.test(url.pathname));
    const route = there.find(([method]) => method === req.method);
    if (route === undefined) return answerEmpty(res, there.length === 0 ? 404 : 405);
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
  const failed = (status: number, error: string) =>
    answer(res, status, { results: [{ error }], time: 0, version: null, actor_id: store.site });
  if (!Array.isArray(body)) throw new BadStatement('expected a list of statements');
  if (body.length === 0) {
    failed(400, 'at least 1 statement is required');
    return;
  }
  const statements = body.map(parseStatement);
  try {
    const written = store.transact(statements);
    const results = written.rows.map(rows_affected => ({ rows_affected, time: seconds() }));
    answer(res, 200, { results, time: seconds(), version: written.version, actor_id: store.site });
  } catch (error) {
    failed(500, `rusqlite: ${(error as Error).message} (actor_id: None, version: None)`);
  }
}

async function queries(store: Store, { res, body, started }: Call): Promise<void> {
  const { columns, rows } = store.prepareRead(parseStatement(body));
  const frames = function* (): Generator<Frame> {
    yield { columns };
    try {
      for (const [number, values] of rows().entries()) yield { row: [number + 1, values] };
    } catch (error) {
      // The status is sent by then.
      return yield { error: (error as Error).message };
    }
    yield { eoq: { time: (performance.now() - started) / 1000 } };
  };
  await openStream(res).writeAll(frames());
  res.end();
}

function subscriptionOf({ url, body }: Call, subscriptions: Subscriptions): Subscription {
  const statement = parseStatement(body);
  if (fromOf(url) !== undefined && !subscriptions.has(statement))
    throw new BadSql('a `from` query param was supplied, but no existing subscription found');
  return subscriptions.of(statement);
}

function subscriptionById({ match: id }: Call, subscriptions: Subscriptions): Subscription {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id))
    throw new BadRequest(`the id of a subscription is a UUID: ${id}`);
  const found = subscriptions.byId(id);
  if (found !== undefined) return found;
  throw new BadRequest(`could not find subscription with id ${id}`, { status: 404, isText: false });
}

function fromOf(url: URL): number | undefined {
  const asked = url.searchParams.get('from');
  return asked === null ? undefined : wholeNumber(asked);
}

async function subscribe({ res, url, started }: Call, subscription: Subscription): Promise<void> {
  const from = fromOf(url);
  const { frames, isOver } = subscription.catchUp({
    ...(from === undefined ? {} : { from }),
    skipRows: url.searchParams.get('skip_rows') === 'true',
    started,
  });
  const stream = openStream(res, { 'corro-query-id': subscription.id });
  if (isOver) {
    await stream.writeAll(frames);
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
    throw new BadRequest(`no such table: ${table}`, { status: 404, isText: false });
  }
  const stream = openStream(res);
  const stop = store.onCommit(touched => {
    for (const row of touched.filter(one => one.table === table))
      stream.write({ notify: [row.alive ? 'update' : 'delete', row.key] });
  });
  res.on('close', stop);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new BadRequest('from: expected a change id');
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
    if (size > maxBody) throw new BadRequest(`body of more than ${maxBody} bytes`, { status: 413 });
    chunks.push(chunk);
  }
  if (req.method === 'GET' || req.url?.startsWith('/v1/updates/')) return undefined;
  if (!/^application\/(?:[\w.-]+\+)?json(?:\s*;|$)/i.test(req.headers['content-type'] ?? ''))
    throw new BadRequest('Expected request with `Content-Type: application/json`', { status: 415 });
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new BadRequest(`body is not JSON: ${(error as Error).message}`);
  }
}

function isAuthorised(req: IncomingMessage, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(req.headers.authorization ?? ''), digest(`Bearer ${token}`));
}
