import { connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../logs/logger.ts';
import { isLoopback, keepMetrics } from './keep-metrics.ts';

const text = '# HELP up_to one\nup_to 1\n';
const contentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Metrics on a port of loopback; what it logs is told as it comes. */
async function serve(
  options: { render?: () => Promise<{ contentType: string; text: string }>; port?: number } = {},
) {
  const log = createLogger('test', { level: 'off', components: new Map() }, false);
  const serving = Promise.withResolvers<string>();
  const warned = Promise.withResolvers<string>();
  const warnings: string[] = [];
  const problems: (string | undefined)[] = [];
  const again = Promise.withResolvers<void>();
  Object.assign(log, {
    info: ({ address }: { address: string }) => serving.resolve(address),
    warn({ reason }: { reason: string }) {
      warnings.push(reason);
      warned.resolve(reason);
    },
  });
  const stop = new AbortController();
  let tries = 0;
  const over = keepMetrics({
    bind: { host: '127.0.0.1', port: options.port ?? 0 },
    render: options.render ?? (async () => ({ contentType, text })),
    log,
    onProblem: why => problems.push(why),
    backoff: {
      next() {
        tries += 1;
        if (tries === 4) again.resolve();
        return 20;
      },
      reset() {},
    },
  })(stop.signal);
  return {
    address: serving.promise,
    warned: warned.promise,
    warnings,
    /** Each that was told; undefined: there was none then. */
    problems,
    /** Resolves when the fourth attempt has failed. */
    triedAgain: again.promise,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await over;
    },
  };
}

describe('the metrics', () => {
  it('are read with GET only, and nothing else is served', async () => {
    await using metrics = await serve();
    const ask = async (method: string, path: string) => {
      const answer = await fetch(`http://${await metrics.address}${path}`, { method });
      return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
    };
    expect(await ask('GET', '/metrics')).toEqual({ status: 200, type: contentType, text });
    expect((await ask('GET', '/metrics?x=1')).status).toBe(200);
    for (const method of ['POST', 'DELETE', 'PUT', 'OPTIONS'])
      expect([method, (await ask(method, '/metrics')).status]).toEqual([method, 405]);
    for (const path of ['/', '/status', '/v1/streams', '/api/v1/containers', '/metrics/', '//metrics'])
      expect([path, (await ask('GET', path)).status]).toEqual([path, 404]);
  });

  it('are collected once for all who read at the same time', async () => {
    let collected = 0;
    const held = Promise.withResolvers<void>();
    await using metrics = await serve({
      async render() {
        collected += 1;
        await held.promise;
        return { contentType, text };
      },
    });
    const at = await metrics.address;
    const first = fetch(`http://${at}/metrics`);
    const second = fetch(`http://${at}/metrics`);
    const one = await fetch(`http://${at}/else`);
    expect(one.status).toBe(404);
    held.resolve();
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
    expect(collected).toBeLessThanOrEqual(2);
  });

  it('that cannot be collected are 500, and the next reader asks again', async () => {
    let fails = true;
    await using metrics = await serve({
      render: () => (fails ? Promise.reject(new Error('no')) : Promise.resolve({ contentType, text })),
    });
    const at = await metrics.address;
    expect((await fetch(`http://${at}/metrics`)).status).toBe(500);
    fails = false;
    expect((await fetch(`http://${at}/metrics`)).status).toBe(200);
  });

  it('wait for an address that is taken', async () => {
    const other = createServer();
    const port = await new Promise<number>(resolve => {
      other.listen(0, '127.0.0.1', () => {
        const at = other.address();
        resolve(typeof at === 'object' && at !== null ? at.port : 0);
      });
    });
    await using metrics = await serve({ port });
    expect(await metrics.warned).toContain('EADDRINUSE');
    await metrics.triedAgain;
    expect(metrics.warnings, 'the same reason is a warning once').toHaveLength(1);
    expect(metrics.problems.at(-1)).toContain('EADDRINUSE');
    await new Promise(resolve => other.close(resolve));
    expect((await fetch(`http://${await metrics.address}/metrics`)).status).toBe(200);
    expect(metrics.problems.at(-1), 'served, it is told that there is none').toBeUndefined();
  });

  it('end though a reader hangs', async () => {
    const metrics = await serve();
    const [host = '', port = ''] = (await metrics.address).split(':');
    const socket = connect(Number(port), host);
    await new Promise(resolve => socket.once('connect', resolve));
    socket.write('GET /metrics HTTP/1.1\r\n');
    const gone = new Promise(resolve => socket.once('close', resolve));
    socket.on('error', () => {});
    await metrics[Symbol.asyncDispose]();
    await gone;
  });
});

it.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['100.64.0.5', false],
  ['10.0.0.1', false],
  ['fd00::1', false],
])('%s is loopback: %s', (host, is) => expect(isLoopback(host)).toBe(is));
