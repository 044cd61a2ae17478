import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A fake of the Hetzner Cloud API for tests, on a local port: the part of https://docs.hetzner.cloud/reference/cloud
 * that the harness uses. It follows the documentation for status codes, error codes, pages, actions that take time,
 * locks and rate limits. The test provides the servers behind it.
 */
export interface FakeApi {
  baseUrl: string;
  requests: { method: string; path: string; query: URLSearchParams; authorization: string; body: unknown }[];
  servers: Map<number, FakeServer>;
  sshKeys: Map<number, FakeKey>;
  /** Answers the next `times` matching requests like this, without an effect unless `after` is set. */
  disturb(fault: Fault): void;
  close(): Promise<void>;
}

export interface FakeServer {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  address: string | null;
  /** The action that locks it. */
  lockedBy: number | undefined;
}

export interface FakeKey {
  id: number;
  name: string;
  fingerprint: string;
  labels: Record<string, string>;
}

export interface Fault {
  match: RegExp;
  times: number;
  /** `hang-up` closes the connection without an answer. */
  answer:
    | { status: number; code: string; headers?: Record<string, string> }
    | 'hang-up'
    | 'silence'
    | 'garbage';
  /** The request takes effect; only its answer is replaced. */
  after?: true;
}

/** The implementation of servers. Each function resolves when it is done; a rejection fails the action. */
export interface Machines {
  /** Resolves to the public address once the machine runs. */
  create(order: { id: number; name: string; userData: string; publicKeyIds: number[] }): Promise<string>;
  powerOff(id: number): Promise<void>;
  powerOn(id: number): Promise<void>;
  destroy(id: number): Promise<void>;
}

export interface FakeApiOptions {
  token?: string;
  pageSize?: number;
  machines?: Partial<Machines>;
  serverTypes?: unknown[];
  /** Servers whose name matches stay "starting" for ever. */
  neverRuns?: RegExp;
}

interface FakeAction {
  id: number;
  command: string;
  status: 'running' | 'success' | 'error';
  error: { code: string; message: string } | null;
}

interface Reply {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

export async function startFakeApi(options: FakeApiOptions = {}): Promise<FakeApi> {
  const { token = 'token-of-the-test', pageSize = 50, machines = {}, serverTypes = [], neverRuns } = options;
  const requests: FakeApi['requests'] = [];
  const servers = new Map<number, FakeServer>();
  const sshKeys = new Map<number, FakeKey>();
  const actions = new Map<number, FakeAction>();
  const faults: Fault[] = [];
  const working = new Set<Promise<void>>();
  let lastId = 1000;
  const newId = () => {
    lastId += 1;
    return lastId;
  };

  /** Starts an action: the answer shows it as running, and reading the action later shows its end. */
  const begin = (command: string, server: FakeServer, work: () => Promise<void>): FakeAction => {
    const action: FakeAction = { id: newId(), command, status: 'running', error: null };
    actions.set(action.id, action);
    server.lockedBy = action.id;
    const worked = Promise.resolve()
      .then(work)
      .then(
        () => {
          action.status = 'success';
        },
        (error: Error) => {
          action.status = 'error';
          action.error = { code: 'action_failed', message: error.message };
        },
      )
      .finally(() => {
        server.lockedBy = undefined;
        working.delete(worked);
      });
    working.add(worked);
    return action;
  };

  const page = (member: string, all: unknown[], query: URLSearchParams): Reply => {
    const number = Number(query.get('page') ?? 1);
    const size = Math.min(Number(query.get('per_page') ?? 25), pageSize);
    const last = Math.max(1, Math.ceil(all.length / size));
    const pagination = {
      page: number,
      per_page: size,
      previous_page: number > 1 ? number - 1 : null,
      next_page: number < last ? number + 1 : null,
      last_page: last,
      total_entries: all.length,
    };
    return {
      status: 200,
      body: { [member]: all.slice((number - 1) * size, number * size), meta: { pagination } },
    };
  };

  const createServerOf = (body: Record<string, unknown>): Reply => {
    const name = String(body['name']);
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
      return refusal(422, 'invalid_input', 'invalid name');
    if ([...servers.values()].some(other => other.name === name))
      return refusal(409, 'uniqueness_error', 'server name is already used');
    const publicKeyIds = (body['ssh_keys'] as number[] | undefined) ?? [];
    if (publicKeyIds.some(id => !sshKeys.has(id))) return refusal(404, 'not_found', 'ssh key not found');
    const server: FakeServer = {
      id: newId(),
      name,
      status: 'initializing',
      labels: (body['labels'] as Record<string, string> | undefined) ?? {},
      address: `192.0.2.${1 + (lastId % 250)}`,
      lockedBy: undefined,
    };
    servers.set(server.id, server);
    const order = { id: server.id, name, userData: String(body['user_data'] ?? ''), publicKeyIds };
    const action = begin('create_server', server, async () => {
      if (machines.create !== undefined) server.address = await machines.create(order);
      server.status = neverRuns?.test(name) === true ? 'starting' : 'running';
    });
    return {
      status: 201,
      body: { server: shown(server), action: shownAction(action), next_actions: [], root_password: null },
    };
  };

  const handle = (
    method: string,
    path: string,
    query: URLSearchParams,
    body: Record<string, unknown>,
  ): Reply => {
    const [, collection = '', id = '', , command = ''] = path.split('/');
    const route = `${method} ${path.replace(/\/\d+/, '/ID')}`;
    const selected = (labels: Record<string, string>) => matches(labels, query.get('label_selector'));
    if (route === 'GET /servers') {
      const name = query.get('name');
      const found = [...servers.values()].filter(
        server => selected(server.labels) && (name === null || server.name === name),
      );
      return page('servers', found.map(shown), query);
    }
    if (route === 'POST /servers') return createServerOf(body);
    if (route === 'GET /ssh_keys') {
      const fingerprint = query.get('fingerprint');
      const found = [...sshKeys.values()].filter(
        key => selected(key.labels) && (fingerprint === null || key.fingerprint === fingerprint),
      );
      return page('ssh_keys', found, query);
    }
    if (route === 'POST /ssh_keys') {
      const fingerprint = fingerprintOf(String(body['public_key']));
      if ([...sshKeys.values()].some(key => key.fingerprint === fingerprint || key.name === body['name']))
        return refusal(409, 'uniqueness_error', 'SSH key not unique');
      const labels = (body['labels'] as Record<string, string> | undefined) ?? {};
      const key = { id: newId(), name: String(body['name']), fingerprint, labels };
      sshKeys.set(key.id, key);
      return { status: 201, body: { ssh_key: key } };
    }
    if (route === 'GET /server_types') return page('server_types', serverTypes, query);
    if (route === 'DELETE /ssh_keys/ID')
      return sshKeys.delete(Number(id)) ? { status: 204 } : refusal(404, 'not_found', 'SSH key not found');
    if (route === 'GET /actions/ID') {
      const action = actions.get(Number(id));
      return action === undefined
        ? refusal(404, 'not_found', 'action not found')
        : { status: 200, body: { action: shownAction(action) } };
    }
    if (collection !== 'servers') return refusal(404, 'not_found', `no ${route}`);
    const server = servers.get(Number(id));
    if (server === undefined) return refusal(404, 'not_found', 'server not found');
    if (route === 'GET /servers/ID') return { status: 200, body: { server: shown(server) } };
    if (server.lockedBy !== undefined) return refusal(423, 'locked', 'server is locked');
    if (route === 'DELETE /servers/ID') {
      const action = begin('delete_server', server, async () => {
        await machines.destroy?.(server.id);
        servers.delete(server.id);
      });
      return { status: 200, body: { action: shownAction(action) } };
    }
    if (command === 'poweroff' || command === 'poweron') {
      const action = begin(command === 'poweroff' ? 'stop_server' : 'start_server', server, async () => {
        await (command === 'poweroff' ? machines.powerOff?.(server.id) : machines.powerOn?.(server.id));
        server.status = command === 'poweroff' ? 'off' : 'running';
      });
      return { status: 201, body: { action: shownAction(action) } };
    }
    return refusal(404, 'not_found', `no ${route}`);
  };

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const method = request.method ?? '';
    const url = new URL(request.url ?? '/', 'http://api');
    const path = url.pathname.replace(/^\/v1/, '');
    const sent = Buffer.concat(chunks).toString('utf8');
    const body: unknown = sent === '' ? undefined : JSON.parse(sent);
    const authorization = request.headers.authorization ?? '';
    requests.push({ method, path, query: url.searchParams, authorization, body });
    const fault = faults.find(({ match, times }) => times > 0 && match.test(`${method} ${path}`));
    if (fault !== undefined) fault.times -= 1;
    let reply: Reply;
    if (authorization !== `Bearer ${token}`) reply = refusal(401, 'unauthorized', 'unable to authenticate');
    else if (fault !== undefined && fault.after !== true) reply = { status: 500 };
    else reply = handle(method, path, url.searchParams, (body ?? {}) as Record<string, unknown>);
    if (fault !== undefined) {
      if (fault.answer === 'hang-up') return void response.destroy();
      if (fault.answer === 'silence') return;
      if (fault.answer === 'garbage') return void response.writeHead(502).end('<html>Bad gateway</html>');
      const { status, code, headers = {} } = fault.answer;
      reply = { ...refusal(status, code, 'said the test'), headers };
    }
    response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
    response.end(reply.body === undefined ? undefined : JSON.stringify(reply.body));
  };

  const http = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    baseUrl: `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1`,
    requests,
    servers,
    sshKeys,
    disturb: fault => void faults.push({ ...fault }),
    async close() {
      http.closeAllConnections();
      http.close();
      await Promise.all(working);
    },
  };
}

function shown(server: FakeServer): Record<string, unknown> {
  const { id, name, status, labels, address } = server;
  const ipv4 = address === null ? null : { id: 1, ip: address, blocked: false };
  return {
    id,
    name,
    status,
    labels,
    public_net: { ipv4, ipv6: null },
    locked: server.lockedBy !== undefined,
  };
}

function shownAction(action: FakeAction): Record<string, unknown> {
  return { ...action, progress: action.status === 'running' ? 10 : 100, resources: [] };
}

function refusal(status: number, code: string, message: string): Reply {
  return { status, body: { error: { code, message, details: {} } } };
}

/**
 * Whether labels match a selector. Supports only `key=value` and `key`, joined by commas; the documented language has
 * more.
 */
function matches(labels: Record<string, string>, selector: string | null): boolean {
  return (selector ?? '').split(',').every(term => {
    const [key = '', value] = term.split('=');
    return key === '' || (value === undefined ? key in labels : labels[key] === value);
  });
}

function fingerprintOf(publicKey: string): string {
  const blob = Buffer.from(publicKey.trim().split(/\s+/)[1] ?? '', 'base64');
  return (createHash('md5').update(blob).digest('hex').match(/../g) ?? []).join(':');
}
