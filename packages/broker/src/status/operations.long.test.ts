// What a broker says of itself, by a real one: its metrics, its log, and `broker status`.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { connectStubHost, programs, scratchFolder, startProgram, unixHttp } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { generateKeys, mintToken } from '../agent/token.ts';

const keys = generateKeys();

/** What a program may take to start on a machine that is busy, in ms. */
const startMs = 60_000;

async function startBroker(env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await scratchFolder());
  const socketPath = join(folder, 'broker.sock');
  const publicKey = join(folder, 'jwt.pub');
  await writeFile(publicKey, keys.publicKey);
  const broker = stack.use(
    startProgram('broker', {
      env: {
        BROKER_GRPC_BIND: '127.0.0.1:0',
        BROKER_JWT_PUBLIC_KEY_PATH: publicKey,
        BROKER_UNIX_SOCKET_PATH: socketPath,
        BROKER_DISPATCH_TIMEOUT_SECS: '1',
        ...env,
      },
    }),
  );
  const { address } = await broker.logged(line => line.msg === 'listening for coolds', startMs);
  await broker.logged(line => line.msg === 'listening for Laravel', startMs);
  const http = stack.use(unixHttp(socketPath));
  return {
    broker,
    http,
    publicKey,
    address: String(address),
    status: (...args: string[]) =>
      runChild(process.execPath, [programs.broker, 'status', ...args], {
        timeoutMs: 60_000,
        env: { PATH: process.env['PATH'] ?? '', BROKER_UNIX_SOCKET_PATH: socketPath },
      }),
    dispatch: (requestId: string, hostId = 'host-1', type = 'list_containers') =>
      http.request({
        method: 'POST',
        path: '/v1/coold/dispatch',
        json: { host_id: hostId, request_id: requestId, command: { type } },
      }),
    /** A metric's samples as they stand in the text, by what stands before the value. */
    async metrics(): Promise<Map<string, number>> {
      const { text, headers } = await http.request({ path: '/metrics' });
      expect(headers['content-type']).toMatch(/^text\/plain; version=/);
      const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'));
      return new Map(
        lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
      );
    },
    async host(hostId: string, answers: boolean, privateKey = keys.privateKey) {
      const token = await mintToken(privateKey, { hostId, caps: ['coold'], ttlMs: 60_000 });
      const host = connectStubHost({
        address: String(address),
        token,
        onCommand: ({ requestId }, stub) => {
          const value = { containers: [] };
          if (answers) stub.respond({ requestId, body: { case: 'listContainers', value } });
        },
      });
      await host.accepted;
      return host;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('a broker', () => {
  it('counts what happens to hosts and dispatches, and logs those that go wrong', async () => {
    await using broker = await startBroker();
    await broker.host('host-1', true);
    const first = await broker.host('host-2', false);
    await broker.host('host-2', false);
    await first.ended;
    const stranger = connectStubHost({ address: broker.address, token: 'none' });
    stranger.accepted.catch(() => {});
    await stranger.ended;

    expect((await broker.dispatch('r-1')).status).toBe(200);
    expect((await broker.dispatch('r-2', 'host-2')).status).toBe(504);
    expect((await broker.dispatch('r-3', 'nobody')).status).toBe(404);
    expect((await broker.dispatch('r-4', 'host-1', 'no_such_verb')).status).toBe(400);

    const metrics = await broker.metrics();
    const expected = {
      broker_hosts: 2,
      broker_host_connects_total: 3,
      broker_host_replacements_total: 1,
      'broker_host_disconnects_total{reason="replaced"}': 1,
      'broker_auth_failures_total{reason="bad token"}': 1,
      'broker_dispatch_duration_seconds_count{verb="list_containers",outcome="ok"}': 1,
      'broker_dispatch_duration_seconds_count{verb="list_containers",outcome="timeout"}': 1,
      'broker_dispatch_duration_seconds_count{verb="list_containers",outcome="not connected"}': 1,
      'broker_dispatch_duration_seconds_count{verb="none",outcome="invalid"}': 1,
      'broker_pending{state="overdue"}': 1,
      'broker_pending{state="waiting"}': 0,
    };
    expect(Object.fromEntries(metrics)).toMatchObject(expected);
    const labels = [...metrics.keys()].join('\n');
    for (const sent of ['host-1', 'host-2', 'nobody', 'no_such_verb', '0.0.0-stub', 'r-1'])
      expect(labels, 'what others choose is no label').not.toContain(sent);

    const line = await broker.broker.logged(({ request_id }) => request_id === 'r-2');
    expect(line).toMatchObject({
      level: 'warn',
      component: 'broker.dispatch',
      host_id: 'host-2',
      verb: 'list_containers',
      outcome: 'timeout',
      code: 504,
      msg: 'dispatch failed',
    });
    expect(await broker.broker.logged(({ request_id }) => request_id === 'r-3')).toMatchObject({
      level: 'info',
      host_id: 'nobody',
      outcome: 'not connected',
    });
    expect(broker.broker.lines.some(({ request_id }) => request_id === 'r-1')).toBe(false);
  }, 120_000);
});

describe('the keys of host tokens', () => {
  it('are changed without an outage: tokens of a key are accepted as long as the key is there', async () => {
    await using broker = await startBroker();
    const next = generateKeys();
    const read = (times: number) =>
      broker.broker.logged(
        () =>
          broker.broker.lines.filter(({ msg }) => msg === 'public keys of host tokens: read again').length >=
          times,
        startMs,
      );
    const old = await broker.host('host-1', true);
    const early = broker.host('host-2', true, next.privateKey);
    await expect(early).rejects.toThrow();

    await writeFile(broker.publicKey, `${keys.publicKey}${next.publicKey}`);
    await read(1);
    await broker.host('host-2', true, next.privateKey);
    expect((await broker.dispatch('r-1', 'host-1')).status).toBe(200);
    expect((await broker.dispatch('r-2', 'host-2')).status).toBe(200);

    await writeFile(broker.publicKey, 'half of a k');
    const bad = 'public keys of host tokens: cannot be used; the last usable one stays in use';
    await broker.broker.logged(({ msg, level }) => level === 'error' && msg === bad, startMs);
    expect((await broker.dispatch('r-3', 'host-1')).status).toBe(200);
    const said = async () => JSON.parse((await broker.status('--json')).stdout).problems;
    expect(await said()).toEqual([
      expect.stringMatching(
        /^public keys of host tokens: .* next start would fail: .*jwt.*: holds no public key/,
      ),
    ]);

    await writeFile(broker.publicKey, next.publicKey);
    await old.ended;
    expect((await broker.dispatch('r-4', 'host-1')).status).toBe(404);
    expect((await broker.dispatch('r-5', 'host-2')).status).toBe(200);
    expect(await said()).toEqual([]);
    await expect(broker.host('host-1', true)).rejects.toThrow();
  }, 120_000);
});

describe('broker status', () => {
  it('says that none has connected yet right after the start, and is healthy with one, on one screen, or as JSON', async () => {
    await using broker = await startBroker();
    const alone = await broker.status();
    expect(alone).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^starting: not there yet: hosts: none has connected yet\n/),
    });
    expect(JSON.parse((await broker.status('--json')).stdout)).toMatchObject({
      problems: [],
      starting: ['hosts: none has connected yet'],
    });
    await broker.host('host-1', true);
    await broker.dispatch('r-1');
    const { code, stdout } = await broker.status();
    expect(code, stdout).toBe(0);
    expect(stdout).toMatch(/^healthy\n/);
    expect(stdout).toMatch(/^hosts +1 connected/m);
    expect(stdout).toContain('host-1  0.0.0-stub, schema 2, for ');
    expect(stdout.split('\n').length, 'one screen').toBeLessThan(25);
    const json = await broker.status('--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      problems: [],
      hosts: 1,
      tls: null,
      dispatches_per_s: 0,
      dispatches: { by_outcome: { ok: 1 }, p50_ms: expect.any(Number) },
      streams: [{ host_id: 'host-1' }],
    });
  }, 120_000);

  it('names the address that metrics cannot be served on, until they are', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const at = other.address();
    if (typeof at !== 'object' || at === null) expect.fail('no address');
    const address = `127.0.0.1:${at.port}`;
    await using broker = await startBroker({ BROKER_METRICS_BIND: address });
    await broker.broker.logged(line => line.msg === 'metrics cannot be served yet; trying again', startMs);
    const unserved = async () => JSON.parse((await broker.status('--json')).stdout);
    expect(await unserved()).toMatchObject({
      unserved: [{ what: 'metrics', address, problem: expect.stringContaining('EADDRINUSE') }],
      starting: expect.arrayContaining([`metrics on ${address}`]),
    });
    other.close();
    await broker.broker.logged(line => line.msg === 'serving metrics', startMs);
    expect(await unserved()).toMatchObject({ unserved: [] });
  }, 180_000);

  it('is 1 while a token is to be renewed, and names its host', async () => {
    await using broker = await startBroker();
    const hour = 3_600_000;
    const claims = { hostId: 'host-1', caps: ['coold'], ttlMs: hour };
    const connect = async (issuedMsAgo: number) => {
      const token = await mintToken(keys.privateKey, claims, Date.now() - issuedMsAgo);
      await connectStubHost({ address: broker.address, token, onCommand: () => {} }).accepted;
    };
    await connect(0.9 * hour);
    const { code, stdout } = await broker.status();
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^PROBLEM: tokens of 1 hosts end soon: host-1 at 20\d\d-.*; give these hosts new ones\n/,
    );
    expect((await broker.metrics()).get('broker_ending_tokens')).toBe(1);
    await connect(0);
    expect(await broker.status()).toMatchObject({ code: 0 });
    expect((await broker.metrics()).get('broker_ending_tokens')).toBe(0);
    const [stream] = (await broker.http.request({ path: '/v1/streams' })).json() as Record<string, string>[];
    expect(Date.parse(stream?.['token_ends_at'] ?? '')).toBeGreaterThan(Date.now());
    expect(stream?.['token_key']).toMatch(/^[\w-]{43}$/);
  }, 120_000);

  it('is 1 for what was not answered, and names it', async () => {
    await using broker = await startBroker();
    await broker.host('host-1', false);
    await broker.dispatch('r-1');
    const { code, stdout } = await broker.status();
    expect(code).toBe(1);
    expect(stdout).toMatch(/^PROBLEM: 1 dispatches of the last minutes are without an answer\n/);
  }, 120_000);

  it('is 3 where no broker is, and 2 for a flag that it does not know', async () => {
    const run = (...args: string[]) =>
      runChild(process.execPath, [programs.broker, 'status', ...args], { timeoutMs: 60_000 });
    const nobody = await run('--unix-socket-path', '/nowhere/broker.sock', '--json');
    expect(nobody).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(
        /^broker status: broker does not run \(\/nowhere\/broker\.sock cannot be asked: .*ENOENT.*\): start it with "systemctl start broker".*\n$/,
      ),
    });
    expect(JSON.parse(nobody.stdout)).toEqual({ problems: [expect.stringContaining('ENOENT')] });
    expect(await run('--no-such-flag')).toMatchObject({ code: 2, stdout: '' });
    const help = await run('--help');
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('3: not reachable') });
    expect(help.stdout).not.toContain('BROKER_JSON');
  }, 120_000);
});
