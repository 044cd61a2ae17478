import { copyFileSync, mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Logger, logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { request } from 'undici';
import { type Agent, startAgent } from '../corrosion/agent.ts';

/**
 * For tests: an agent that speaks docs/contract.md §5, with the tables that are installed with coold, and its own
 * troubles.
 */
export interface StandIn extends AsyncDisposable {
  url: string;
  stop(): Promise<void>;
  /** With the same database, at the same address. */
  start(): Promise<void>;
  /** Its next start has every table. */
  installSchemas(): void;
  /** Keeps a copy of the database as it is; while it is stopped. */
  backUp(): void;
  restore(): void;
}

const schemas = fileURLToPath(new URL('../../../../packaging/corrosion/', import.meta.url));

/** @param options.tables the only tables of the schema, as of an agent that another program has set up */
export async function startStandIn(
  folder: string,
  options: { bearerToken?: string; tables?: readonly string[] } = {},
): Promise<StandIn> {
  mkdirSync(folder, { recursive: true });
  const dbPath = join(folder, 'corrosion.db');
  let schemaPaths = options.tables?.map(table => join(schemas, `${table}.sql`)) ?? [schemas];
  let api = { host: '127.0.0.1', port: 0 };
  let agent: Agent | undefined;
  const standIn: StandIn = {
    url: '',
    async stop() {
      await agent?.close();
      agent = undefined;
    },
    async start() {
      agent = await startAgent({
        dbPath,
        schemaPaths,
        bootstrap: [],
        bearerToken: options.bearerToken,
        api,
        gossip: { host: '127.0.0.1', port: 0 },
      });
      api = agent.api;
    },
    installSchemas() {
      schemaPaths = [schemas];
    },
    backUp: () => copyFileSync(dbPath, `${dbPath}.backup`),
    restore: () => copyFileSync(`${dbPath}.backup`, dbPath),
    [Symbol.asyncDispose]: () => standIn.stop(),
  };
  await standIn.start();
  standIn.url = `http://127.0.0.1:${api.port}`;
  return standIn;
}

/** What becomes of a request, instead of being passed on as it is. */
export type Fault = (
  asked: IncomingMessage,
  pass: (rewrite?: (line: string) => string) => Promise<void>,
  answer: ServerResponse,
) => void | Promise<void>;

/**
 * A proxy before an agent that answers as a sound one never would. A fake, because neither Corrosion nor its stand-in can be
 * made to break off within a line, skip a change or tell old rows.
 */
export interface FaultyProxy extends AsyncDisposable {
  url: string;
  /** For every request from now on; undefined: pass all on. */
  fault: Fault | undefined;
  /** "METHOD path?query" of every request, in order. */
  seen: string[];
  /** Ends every answer under way. */
  cut(): void;
}

export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const server = createServer((asked, answer) => {
    proxy.seen.push(`${asked.method} ${asked.url}`);
    const pass = async (rewrite?: (line: string) => string) => {
      const chunks: Buffer[] = [];
      for await (const chunk of asked as AsyncIterable<Buffer>) chunks.push(chunk);
      const gone = new AbortController();
      answer.on('close', () => gone.abort());
      const { statusCode, headers, body } = await request(new URL(asked.url ?? '/', target), {
        method: asked.method === 'GET' ? 'GET' : 'POST',
        headers: { 'content-type': 'application/json' },
        body: chunks.length === 0 ? null : Buffer.concat(chunks),
        signal: gone.signal,
        bodyTimeout: 0,
      });
      const id = headers['corro-query-id'];
      answer.writeHead(statusCode, id === undefined ? {} : { 'corro-query-id': id });
      answer.flushHeaders();
      let rest = '';
      for await (const chunk of body) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) answer.write(`${rewrite === undefined ? line : rewrite(line)}\n`);
      }
      answer.end(rest);
    };
    const { fault } = proxy;
    Promise.resolve(fault === undefined ? pass() : fault(asked, pass, answer)).catch(() => answer.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultyProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: undefined,
    seen: [],
    cut: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
  return proxy;
}

/** A logger for tests, silent unless LOG is set. */
export function testLog(): Logger {
  const filter = logFilter.parse(process.env['TEST_LOG'] ?? 'off');
  if (filter === undefined) throw new Error('TEST_LOG: expected a log filter');
  return createLogger('test', filter, false);
}
