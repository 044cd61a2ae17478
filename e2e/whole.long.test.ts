import { access, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { unixHttp } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from './stack.ts';

const phpClient = fileURLToPath(new URL('clients/dispatch.php', import.meta.url));

interface Envelope {
  request_id: string;
  status: 'ok' | 'error';
  data?: { name: string; state: string; networks: string[] }[];
  code?: number;
  message?: string;
}

async function php(socket: string, ...args: string[]): Promise<{ status: number; body: Envelope }> {
  const { code, stdout, stderr } = await runChild('php', [phpClient, socket, ...args], { timeoutMs: 30_000 });
  if (code !== 0) throw new Error(`php failed: ${stderr}`);
  return JSON.parse(stdout) as { status: number; body: Envelope };
}

describe('Laravel asks, Podman answers', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack();
    await stack.podman.runTiny('web');
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  it('a PHP client gets the containers of the host', async () => {
    const command = { host_id: 'host-1', request_id: 'php-1', command: { type: 'list_containers' } };
    const { status, body } = await php(
      stack.pairing.socketPath,
      'POST',
      '/v1/coold/dispatch',
      JSON.stringify(command),
    );
    expect(status).toBe(200);
    expect(body).toEqual({
      request_id: 'php-1',
      status: 'ok',
      data: [
        {
          id: expect.any(String),
          name: 'web',
          image: 'localhost/tiny:latest',
          state: 'running',
          networks: ['podman'],
        },
      ],
    });
  });

  it('a PHP client gets health, streams and refusals in the words of the contract', async () => {
    const { socketPath } = stack.pairing;
    expect(await php(socketPath, 'GET', '/v1/health')).toEqual({ status: 200, body: { ok: true } });
    expect((await php(socketPath, 'GET', '/v1/streams')).body).toMatchObject([
      { host_id: 'host-1', coold_version: expect.stringMatching(/^\d/) },
    ]);
    const unknown = JSON.stringify({
      host_id: 'elsewhere',
      request_id: 'php-2',
      command: { type: 'list_containers' },
    });
    expect(await php(socketPath, 'POST', '/v1/coold/dispatch', unknown)).toEqual({
      status: 404,
      body: {
        request_id: 'php-2',
        status: 'error',
        code: 404,
        message: 'host not connected',
        reason: 'host_not_connected',
        host_id: 'elsewhere',
      },
    });
    const bad = JSON.stringify({
      host_id: 'host-1',
      request_id: '../x',
      command: { type: 'list_containers' },
    });
    expect(await php(socketPath, 'POST', '/v1/coold/dispatch', bad)).toMatchObject({
      status: 400,
      body: { code: 400 },
    });
  });

  it('broker and coold are killed in turn twenty times and every later dispatch succeeds', async () => {
    for (let round = 0; round < 20; round += 1) {
      const victim = round % 2 === 0 ? stack.broker : stack.coold;
      victim.signal('SIGKILL');
      await victim.exited;
      await (round % 2 === 0 ? stack.restartBroker() : stack.restartCoold());
      const answer = await stack.dispatch(`round-${round}`);
      expect([answer.status, (answer.json() as Envelope).status], `round ${round}`).toEqual([200, 'ok']);
    }
  }, 180_000);

  it('a coold that is told to stop closes its stream in order, and leaves its containers alone', async () => {
    stack.coold.signal('SIGTERM');
    expect(await stack.coold.exited).toEqual({ code: 0, signal: null });
    await stack.broker.logged(
      line => line.msg === 'host disconnected' && line['why'] === 'host ended the stream',
    );
    expect((await stack.dispatch('gone')).status).toBe(404);
    await stack.restartCoold();
    const { data } = (await stack.dispatch('back')).json() as Envelope;
    expect(data).toMatchObject([{ name: 'web', state: 'running' }]);
  });

  it('a killed Podman is a 503 of the host; coold keeps running', async () => {
    await stack.podman.kill();
    const answer = await stack.dispatch('no-podman');
    expect([answer.status, answer.json()]).toMatchObject([200, { status: 'error', code: 503 }]);
    expect((answer.json() as Envelope).message).toContain(stack.podman.socketPath);
    expect((await stack.dispatch('still-there')).status).toBe(200);
  });
});

describe('a broker that is told to stop', () => {
  it('ends within five seconds with 0, its pending dispatches answered or failed, its socket gone', async () => {
    await using stack = await startStack();
    // A hanging host: while stopped, it answers nothing.
    stack.coold.signal('SIGSTOP');
    const parked = stack.dispatch('parked');
    await using lane = unixHttp(stack.pairing.socketPath);
    const conflict = async () =>
      (
        await lane.request({
          method: 'POST',
          path: '/v1/coold/dispatch',
          json: { host_id: 'host-1', request_id: 'parked', command: { type: 'list_containers' } },
        })
      ).status;
    await expect.poll(conflict).toBe(409);
    const asked = performance.now();
    stack.broker.signal('SIGTERM');
    const answer = await parked;
    expect([answer.status, answer.json()]).toMatchObject([503, { message: 'broker is stopping' }]);
    expect(await stack.broker.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - asked).toBeLessThan(5000);
    await expect(access(stack.pairing.socketPath)).rejects.toThrow(/ENOENT/);
    stack.coold.signal('SIGCONT');
  });

  it('ends in order although callers keep their connections or never finish their requests', async () => {
    await using stack = await startStack();
    const half = connect(stack.pairing.socketPath);
    half.on('error', () => {});
    half.write('POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{');
    await using kept = unixHttp(stack.pairing.socketPath);
    expect((await kept.request({ path: '/v1/health' })).status).toBe(200);
    stack.broker.signal('SIGTERM');
    expect(await stack.broker.exited).toEqual({ code: 0, signal: null });
    half.destroy();
  });

  it('ends with an error when its socket is renamed', async () => {
    await using stack = await startStack();
    await rm(stack.pairing.socketPath);
    expect(await stack.broker.exited).toEqual({ code: 1, signal: null });
    expect(stack.broker.lines.at(-1)?.msg).toContain('is gone, or another took its place');
  });

  it('still returns the answers of its hosts meanwhile', async () => {
    await using stack = await startStack();
    stack.coold.signal('SIGSTOP');
    const parked = stack.dispatch('parked');
    await expect.poll(async () => (await stack.dispatch('parked')).status).toBe(409);
    stack.broker.signal('SIGTERM');
    await stack.broker.logged(line => line.msg === 'stopping');
    stack.coold.signal('SIGCONT');
    expect((await parked).json()).toMatchObject({ status: 'ok', data: [] });
    expect(await stack.broker.exited).toEqual({ code: 0, signal: null });
  });
});

describe('over TLS', () => {
  it('coold accepts only a broker that its CA vouches for; a new certificate is used for new connections', async () => {
    await using stack = await startStack();
    const file = (name: string) => join(stack.folder, name);
    for (const [name, address] of [
      ['broker', '127.0.0.1'],
      ['stranger', '127.0.0.1'],
      ['elsewhere', '127.0.0.9'],
    ] as const) {
      const made = await runChild(
        'openssl',
        [
          ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
          ...['-subj', '/CN=broker', '-addext', `subjectAltName=IP:${address},DNS:broker`],
          ...['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)],
        ],
        { timeoutMs: 20_000 },
      );
      expect(made.code, made.stderr).toBe(0);
    }
    const port = Number(
      /:(\d+)$/.exec(String(stack.broker.lines.find(line => line['address'])?.['address']))?.[1],
    );
    const url = `grpcs://127.0.0.1:${port}/v1/agent`;
    for (const program of [stack.coold, stack.broker]) {
      program.signal('SIGTERM');
      await program.exited;
    }
    const serve = async (name: string) => {
      const tls = { BROKER_TLS_CERT: file(`${name}.crt`), BROKER_TLS_KEY: file(`${name}.key`) };
      const broker = stack.pairing.startBroker({ env: tls });
      await broker.logged(line => line.msg === 'listening for Laravel');
      return broker;
    };
    const dial = (ca: string) => stack.startCoold({ COOLD_BROKER_URL: url, COOLD_BROKER_CA: file(ca) });

    const refusal = async (ca: string) => {
      await using coold = dial(ca);
      return String(
        (await coold.logged(line => String(line.msg).startsWith('no stream to the broker')))['reason'],
      );
    };

    {
      await using _elsewhere = await serve('elsewhere');
      expect(await refusal('elsewhere.crt'), 'vouched for, but for another address').toMatch(
        /does not match certificate/,
      );
    }
    const install = async (name: string) => {
      for (const part of ['crt', 'key']) await copyFile(file(`${name}.${part}`), file(`installed.${part}`));
    };
    await install('broker');
    await using broker = await serve('installed');
    expect(await refusal('stranger.crt')).toMatch(/UNAVAILABLE.*certificate/i);
    await using coold = dial('broker.crt');
    await coold.logged(line => line.msg === 'connected to the broker');
    expect((await stack.dispatch('over-tls')).json()).toMatchObject({ status: 'ok' });

    await rm(file('installed.key'));
    broker.signal('SIGHUP');
    await broker.logged(line =>
      /certificate.* cannot be used; the last usable one stays in use/.test(String(line.msg)),
    );
    await install('stranger');
    broker.signal('SIGHUP');
    await broker.logged(line => line.msg === 'certificate of the gRPC listener: read again');
    expect((await stack.dispatch('stays')).json(), 'whoever is connected stays so').toMatchObject({
      status: 'ok',
    });
    expect(await refusal('broker.crt'), 'who comes anew sees the new one').toMatch(
      /UNAVAILABLE.*certificate/i,
    );
  });
});

describe('an unusable setting ends the program with a line that names it', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack();
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  it.each<[string, Record<string, string>, number, RegExp]>([
    [
      'a port out of range',
      { BROKER_GRPC_BIND: '127.0.0.1:65536' },
      2,
      /BROKER_GRPC_BIND="127\.0\.0\.1:65536": expected an address/,
    ],
    [
      'a number that is none',
      { BROKER_PENDING_MAX: 'many' },
      2,
      /BROKER_PENDING_MAX="many": expected a whole number/,
    ],
    ['a certificate without its key', { BROKER_TLS_CERT: '/x' }, 2, /BROKER_TLS_KEY is not set/],
    ['a socket that is in use', {}, 1, /in use: another process/],
    [
      'a public key that is not there',
      { BROKER_JWT_PUBLIC_KEY_PATH: '/nowhere' },
      1,
      /BROKER_JWT_PUBLIC_KEY_PATH=\/nowhere/,
    ],
    [
      'a deny list that is none',
      { BROKER_REVOKED_FILE: import.meta.filename },
      1,
      /BROKER_REVOKED_FILE=.*: line 1: /,
    ],
  ])('broker: %s', async (_, env, code, line) => {
    const free = { BROKER_GRPC_BIND: '127.0.0.1:0' };
    await using broker = stack.pairing.startBroker({ env: { ...free, ...env } });
    expect((await broker.exited).code).toBe(code);
    expect(broker.lines.map(({ msg }) => msg).join('\n')).toMatch(line);
    expect(JSON.stringify(broker.lines), 'what is not a fault of the program has no stack').not.toContain(
      'stack',
    );
    if (code === 2) expect(broker.lines).toHaveLength(1);
  });

  it('broker: a gRPC port that is in use', async () => {
    const other = join(stack.folder, 'other.sock');
    await using broker = stack.pairing.startBroker({ env: { BROKER_UNIX_SOCKET_PATH: other } });
    expect((await broker.exited).code).toBe(1);
    expect(broker.lines.map(({ msg }) => msg).join('\n')).toMatch(
      /BROKER_GRPC_BIND=127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
    await expect(access(other)).rejects.toThrow(/ENOENT/);
  });

  it.each<[string, Record<string, string>, number, RegExp]>([
    [
      'an address that is none',
      { COOLD_HOST_MGMT_IP: '100.64.0' },
      2,
      /COOLD_HOST_MGMT_IP="100\.64\.0": expected an IPv4 address/,
    ],
    ['no address', { COOLD_HOST_MGMT_IP: '' }, 2, /COOLD_HOST_MGMT_IP is not set/],
    [
      'a URL that is none',
      { COOLD_BROKER_URL: 'broker:6443' },
      2,
      /COOLD_BROKER_URL="broker:6443": expected a URL/,
    ],
  ])('coold: %s', async (_, env, code, line) => {
    await using coold = stack.startCoold(env);
    expect((await coold.exited).code).toBe(code);
    expect(coold.lines.map(({ msg }) => msg).join('\n')).toMatch(line);
    if (code === 2) expect(coold.lines).toHaveLength(1);
  });

  it.each<[string, string | undefined, number, RegExp]>([
    ['that is not there', undefined, 0, /cannot be read/],
    ['that others can read', 'token', 0o644, /chmod 600/],
    ['that is empty', '\n', 0o600, /is empty/],
  ])('but coold waits for a good token while it has one %s', async (_, content, mode, reason) => {
    const path = join(stack.folder, 'bad-jwt');
    await rm(path, { force: true });
    if (content !== undefined) await writeFile(path, content, { mode });
    await using coold = stack.startCoold({ COOLD_HOST_JWT_PATH: path });
    await coold.logged(line => reason.test(String(line['reason'])));
    coold.signal('SIGTERM');
    expect(await coold.exited).toEqual({ code: 0, signal: null });
  });

  it('coold runs without a broker when configured so', async () => {
    await using coold = stack.startCoold({ COOLD_GRPC_DISABLED: 'yes', COOLD_HOST_JWT_PATH: '/nowhere' });
    await coold.logged(line => String(line.msg).includes('COOLD_GRPC_DISABLED is set'));
    coold.signal('SIGTERM');
    expect(await coold.exited).toEqual({ code: 0, signal: null });
  });
});

describe('the broker’s other commands', () => {
  it('keygen and token create what a broker accepts', async () => {
    await using stack = await startStack();
    const main = fileURLToPath(new URL('../packages/broker/src/main.ts', import.meta.url));
    const run = (...args: string[]) => runChild(process.execPath, [main, ...args], { timeoutMs: 20_000 });
    const [key, pub, jwt] = ['k', 'k.pub', 'jwt'].map(name => join(stack.folder, name)) as [
      string,
      string,
      string,
    ];
    expect(await run('keygen', '--private', key, '--public', pub)).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    const minted = await run(
      'token',
      '--key',
      key,
      '--host-id',
      'minted',
      '--caps',
      'coold,builder',
      '--ttl',
      '1h',
    );
    expect(minted).toMatchObject({ code: 0, stderr: '' });
    await writeFile(jwt, minted.stdout, { mode: 0o600 });
    stack.broker.signal('SIGTERM');
    await stack.broker.exited;
    await using broker = stack.pairing.startBroker({ env: { BROKER_JWT_PUBLIC_KEY_PATH: pub } });
    await broker.logged(line => line.msg === 'listening for Laravel');
    await using coold = stack.startCoold({ COOLD_HOST_JWT_PATH: jwt });
    await coold.logged(line => line.msg === 'connected to the broker');
    await broker.logged(line => line.msg === 'host connected' && line['host_id'] === 'minted');

    expect(await run('token', '--key', '/nowhere', '--host-id', 'h')).toMatchObject({ code: 1, stdout: '' });
    expect(await run('token', '--key', key)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--host-id is not set'),
    });
    expect((await run('--version')).stdout).toMatch(
      /^broker \d+\.\d+\.\d+ \(from its sources, schema 1-2\)\n$/,
    );
    expect((await run('--help')).stdout).toContain('BROKER_GRPC_BIND');
    expect(await readFile(key, 'utf8')).toContain('PRIVATE KEY');
  });
});
