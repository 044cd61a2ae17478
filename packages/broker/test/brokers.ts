import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Authority,
  connectStubHost,
  createAuthority,
  freePort,
  type Program,
  type StubHost,
  type StubHostOptions,
  scratchFolder,
  startProgram,
  unixHttp,
} from '@coold/testbed';
import { startStandIn } from '@coold/testbed/corrosion';
import { generateKeys, mintToken } from '../src/agent/token.ts';

/** For tests: what brokers stand on that know each other. */
export interface Ground extends AsyncDisposable {
  folder: string;
  authority: Authority;
  corrosionUrl: string;
  /** What a broker of this id is told; `others` over it. */
  environment(id: string, others?: Record<string, string>): Promise<Record<string, string>>;
  /** A host's token. */
  token(hostId: string, caps?: string[]): Promise<string>;
  /** A broker as a process, once it serves. */
  start(id: string, others?: Record<string, string>): Promise<Broker>;
}

export interface Broker {
  id: string;
  program: Program;
  /** Where the others dial it. */
  address: string;
  /** Where hosts dial it. */
  grpc: string;
  socketPath: string;
  dispatch(hostId: string, requestId: string, command?: object): Promise<Answer>;
  ask(method: 'GET' | 'POST' | 'DELETE', path: string, json?: object): Promise<Answer>;
  metrics(): Promise<string>;
  /** A stub that answers `list_containers` with one of id "on-<host>-by-<broker>", unless it is told otherwise. */
  host(hostId: string, options?: Partial<StubHostOptions>): Promise<StubHost>;
}

export interface Answer {
  status: number;
  body: { status: string; code?: number; reason?: string; message?: string; data?: unknown };
}

/** What a program may take to start on a machine that is busy, in ms. */
export const startMs = 60_000;

/** @param startCorrosion starts an agent, instead of the stand-in */
export async function startGround(
  startCorrosion: (folder: string) => Promise<AsyncDisposable & { url: string }> = startStandIn,
): Promise<Ground> {
  const stack = new AsyncDisposableStack();
  const keys = generateKeys();
  const { path: folder } = stack.use(await scratchFolder());
  const authority = await createAuthority(folder);
  const { url: corrosionUrl } = stack.use(await startCorrosion(join(folder, 'corrosion')));
  await writeFile(join(folder, 'jwt.pub'), keys.publicKey);

  const environment: Ground['environment'] = async (id, others = {}) => {
    const address = `127.0.0.1:${await freePort()}`;
    const { certPath, keyPath } = await authority.issue(id);
    return {
      BROKER_GRPC_BIND: '127.0.0.1:0',
      BROKER_JWT_PUBLIC_KEY_PATH: join(folder, 'jwt.pub'),
      BROKER_UNIX_SOCKET_PATH: join(folder, `${id}.sock`),
      BROKER_DISPATCH_TIMEOUT_SECS: '3',
      BROKER_ROUTES_CORROSION_URL: corrosionUrl,
      BROKER_ROUTES_BROKER_ID: id,
      BROKER_ROUTES_BIND: address,
      BROKER_ROUTES_ADDRESS: address,
      BROKER_ROUTES_TLS_CERT: certPath,
      BROKER_ROUTES_TLS_KEY: keyPath,
      BROKER_ROUTES_TLS_CA: authority.caPath,
      ...others,
    };
  };

  const token = (hostId: string, caps = ['coold']) =>
    mintToken(keys.privateKey, { hostId, caps, ttlMs: 600_000 });

  async function start(id: string, others: Record<string, string> = {}): Promise<Broker> {
    const env = await environment(id, others);
    const socketPath = join(folder, `${id}.sock`);
    const program = stack.use(startProgram('broker', { env }));
    const { address: grpc } = await program.logged(line => line.msg === 'listening for coolds', startMs);
    await program.logged(line => line.msg === 'listening for Laravel', startMs);
    const http = stack.use(unixHttp(socketPath));
    const ask: Broker['ask'] = async (method, path, json) => {
      const { status, text } = await http.request({ method, path, ...(json === undefined ? {} : { json }) });
      return { status, body: JSON.parse(text === '' ? '{}' : text) as Answer['body'] };
    };
    return {
      id,
      program,
      socketPath,
      ask,
      grpc: String(grpc),
      address: env['BROKER_ROUTES_ADDRESS'] ?? '',
      dispatch: (hostId, requestId, command = { type: 'list_containers' }) =>
        ask('POST', '/v1/coold/dispatch', { host_id: hostId, request_id: requestId, command }),
      metrics: async () => (await http.request({ path: '/metrics' })).text,
      async host(hostId, options = {}) {
        const host = connectStubHost({
          address: String(grpc),
          token: await token(hostId),
          onCommand({ requestId }, stub) {
            const containers = [{ id: `on-${hostId}-by-${id}` }];
            stub.respond({ requestId, body: { case: 'listContainers', value: { containers } } });
          },
          ...options,
        });
        await host.accepted;
        stack.defer(() => host.cut());
        return host;
      },
    };
  }

  return {
    folder,
    authority,
    corrosionUrl,
    environment,
    token,
    start,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
