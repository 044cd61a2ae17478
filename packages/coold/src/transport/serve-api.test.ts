import { EventEmitter, once } from 'node:events';
import { chmod, copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { readVerbs } from '@coold/proto';
import { createBackoff, logFilter, runChild } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { freePort, scratchFolder, unixHttp } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { Agent, request } from 'undici';
import { describe, expect, it, vi } from 'vitest';
import { idleDns } from '../../test/dns-questions.ts';
import { noFirewall, undenied, unserved } from '../../test/no-firewall.ts';
import { cooldHandlers } from '../verbs/coold.ts';
import { dnsHandlers } from '../verbs/dns.ts';
import { explainHandlers } from '../verbs/explain.ts';
import { hostEventHandlers } from '../verbs/host-events.ts';
import { hostJwtHandlers } from '../verbs/host-jwt.ts';
import { meshHandlers } from '../verbs/mesh.ts';
import { serviceHandlers } from '../verbs/services.ts';
import { joinSurface } from '../verbs/surface.ts';
import { verbHandlers } from '../verbs/verbs.ts';
import { createMetrics } from './metrics.ts';
import { restRoutes } from './rest-route.ts';
import { type ApiOptions, keepApi, keepStatus } from './serve-api.ts';
import { createStreams } from './streams.ts';

const off = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);
const quick = () => createBackoff({ firstMs: 50, maxMs: 50, random: () => 1 });

/** A log that a test can read, and the moment something is served. */
function listenIn() {
  const served = Promise.withResolvers<string>();
  const warn = vi.fn();
  const error = vi.fn();
  const info = vi.fn((fields: { address?: string; path?: string }, text: string) => {
    if (/^serving/.test(text)) served.resolve(fields.address ?? fields.path ?? '');
  });
  const log = { ...off, warn, error, info: info as never };
  return { log: { ...log, child: () => log }, warn, error, served: served.promise };
}

async function start(change: Partial<ApiOptions> = {}) {
  const folder = await scratchFolder();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, 'token', { mode: 0o600 });
  const { log, warn, error, served } = listenIn();
  const stop = new AbortController();
  const hangups = new EventEmitter();
  const podman = { listContainers: () => Promise.resolve([]) };
  const mesh = { hostMgmtIp: '100.64.0.1', namespaces: [], zone: 'coolify.internal' };
  const task = keepApi({
    bind: { host: '127.0.0.1', port: 0 },
    tokenFile,
    tls: undefined,
    hangups,
    routes: restRoutes(
      joinSurface(readVerbs(), {
        ...verbHandlers(podman as never, {
          version: '1',
          allowedMountSources: [],
          mesh,
          ...unserved,
          firewall: noFirewall,
          log,
          namespaceNetworks: undenied({} as never),
        }),
        ...serviceHandlers({} as never),
        ...explainHandlers({} as never),
        ...meshHandlers({} as never),
        ...cooldHandlers({} as never),
        ...hostEventHandlers({} as never),
        ...hostJwtHandlers('/nosuch', () => {}),
        ...dnsHandlers(idleDns()),
      }),
    ),
    document: {},
    metrics: createMetrics('1'),
    record: () => {},
    streams: createStreams(log),
    log,
    backoff: quick(),
    reloadEveryMs: 50,
    ...change,
  });
  const ended = task(stop.signal);
  ended.catch(() => {});
  return {
    folder: folder.path,
    tokenFile,
    hangups,
    warn,
    error,
    served,
    ended,
    stop,
    async status(token: string) {
      const url = `http://${await served}/openapi.json`;
      const answer = await request(url, { headers: { authorization: `Bearer ${token}` } });
      await answer.body.dump();
      return answer.statusCode;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended.catch(() => {});
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Makes a certificate for 127.0.0.1 that signs itself. */
async function makePair(folder: string, name: string) {
  const pair = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const { code, stderr } = await runChild(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
      ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'],
      ...['-keyout', pair.key, '-out', pair.cert],
    ],
    { timeoutMs: 20_000 },
  );
  expect(code, stderr).toBe(0);
  await chmod(pair.key, 0o600);
  return pair;
}

describe('the token', () => {
  it('is read again when its file changes and on SIGHUP; a bad one leaves the last good one', async () => {
    const note = vi.fn();
    await using api = await start({ unread: { note } });
    expect(await api.status('token')).toBe(200);
    await delay(100);
    await writeFile(api.tokenFile, 'second');
    await soon(async () => expect(await api.status('second')).toBe(200));
    expect(await api.status('token')).toBe(401);
    await chmod(api.tokenFile, 0o644);
    api.hangups.emit('SIGHUP');
    await soon(() => expect(api.error).toHaveBeenCalled());
    expect(note).toHaveBeenLastCalledWith('API token', expect.stringContaining('has mode 644'));
    expect(await api.status('second')).toBe(200);
  });

  it('that others can read is the end at start, naming the file', async () => {
    await using folder = await scratchFolder();
    const tokenFile = join(folder.path, 'token');
    await writeFile(tokenFile, 'token', { mode: 0o644 });
    await using api = await start({ tokenFile });
    await expect(api.ended).rejects.toThrow(`${tokenFile} has mode 644`);
  });
});

describe('HTTPS', () => {
  const subjectAt = async (address: string) => {
    const [host = '', port] = address.split(':');
    const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };

  it('is served with the pair, and new connections get a new pair; a bad one leaves the last', async () => {
    await using folder = await scratchFolder();
    const [tls, second] = [await makePair(folder.path, 'first'), await makePair(folder.path, 'second')];
    await using api = await start({ tls });
    const address = await api.served;
    const dispatcher = new Agent({ connect: { ca: await readFile(tls.cert, 'utf8') } });
    const answer = await request(`https://${address}/healthz`, { dispatcher });
    expect(await answer.body.json()).toEqual({ ok: true });

    await delay(100);
    await copyFile(second.cert, tls.cert);
    await soon(() => expect(api.error).toHaveBeenCalled()); // no pair yet
    expect(await subjectAt(address)).toBe('first');
    await copyFile(second.key, tls.key);
    await soon(async () => expect(await subjectAt(address)).toBe('second'));

    const kept = await request(`https://${address}/healthz`, { dispatcher });
    expect(kept.statusCode, 'a connection that was there goes on').toBe(200);
    await dispatcher.destroy();
  });

  it('does not answer plain HTTP', async () => {
    await using folder = await scratchFolder();
    await using api = await start({ tls: await makePair(folder.path, 'first') });
    await expect(request(`http://${await api.served}/healthz`)).rejects.toThrow();
  });

  it('with a key that others can read, or that is another’s, is the end at start', async () => {
    await using folder = await scratchFolder();
    const [first, second] = [await makePair(folder.path, 'first'), await makePair(folder.path, 'second')];
    await using mixed = await start({ tls: { cert: first.cert, key: second.key } });
    await expect(mixed.ended).rejects.toThrow(`${first.cert} and ${second.key} do not belong together`);
    await chmod(first.key, 0o640);
    await using open = await start({ tls: first });
    await expect(open.ended).rejects.toThrow(`${first.key} has mode 640`);
  });
});

describe('an address that cannot be had yet', () => {
  it('is tried again while its port is taken', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    const onProblem = vi.fn();
    await using api = await start({ bind: { host: '127.0.0.1', port }, onProblem });
    await soon(() => expect(onProblem.mock.calls.length).toBeGreaterThan(2));
    expect(api.warn.mock.calls, 'the same reason is a warning once').toEqual([
      [{ reason: expect.stringContaining('EADDRINUSE'), retry_in_ms: 50 }, 'cannot listen yet; trying again'],
    ]);
    expect(onProblem).toHaveBeenLastCalledWith(expect.stringContaining('EADDRINUSE'));
    other.close();
    expect(await api.served).toBe(`127.0.0.1:${port}`);
    expect(await api.status('token')).toBe(200);
    expect(onProblem).toHaveBeenLastCalledWith(undefined);
  });

  it('can be waited for to no end, and stopping is quick', async () => {
    await using api = await start({
      bind: { host: '192.0.2.1', port: 8443 },
      backoff: createBackoff({ firstMs: 60_000, maxMs: 60_000, random: () => 1 }),
    });
    await soon(() => expect(api.warn).toHaveBeenCalled());
    expect(api.warn.mock.calls[0]?.[0]).toMatchObject({ reason: expect.stringContaining('EADDRNOTAVAIL') });
    api.stop.abort();
    await api.ended;
  });
});

describe('without an API bind', () => {
  const serveStatus = (path: string) => {
    const { log, warn, served } = listenIn();
    const stop = new AbortController();
    const metrics = createMetrics('1');
    const options = {
      path,
      routes: [],
      metrics,
      record: () => {},
      streams: createStreams(log),
      log,
      backoff: quick(),
      checkMs: 50,
    };
    const ended = keepStatus(options)(stop.signal);
    return {
      warn,
      served,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await ended;
      },
    };
  };

  it('status and metrics are on a socket of the owner’s alone, the verbs are not', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'coold.sock');
    {
      await using status = serveStatus(path);
      expect(await status.served).toBe(path);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      await using http = unixHttp(path);
      expect((await http.request({ path: '/healthz' })).json()).toEqual({ ok: true });
      expect((await http.request({ path: '/metrics' })).text).toContain('coold_build_info');
      expect((await http.request({ path: '/api/v1/containers' })).status).toBe(404);
    }
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
  });

  it('a folder that is missing is a line in the log, and is not made', async () => {
    await using folder = await scratchFolder();
    const missing = join(folder.path, 'missing');
    await using status = serveStatus(join(missing, 'coold.sock'));
    await soon(() => expect(status.warn).toHaveBeenCalled());
    expect(status.warn.mock.calls[0]?.[0]).toMatchObject({
      reason: expect.stringContaining('is not a folder'),
    });
    await expect(stat(missing)).rejects.toThrow(/ENOENT/);
  });

  it('a socket that somebody removed is placed again', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'coold.sock');
    await using status = serveStatus(path);
    await status.served;
    await rm(path);
    await soon(async () => {
      await using http = unixHttp(path);
      expect((await http.request({ path: '/healthz' })).status).toBe(200);
    });
  });

  it('leaves the socket of another running coold alone', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'coold.sock');
    await using first = serveStatus(path);
    await first.served;
    await using second = serveStatus(path);
    await soon(() => expect(second.warn).toHaveBeenCalled());
    await using http = unixHttp(path);
    expect((await http.request({ path: '/healthz' })).status).toBe(200);
  });
});
