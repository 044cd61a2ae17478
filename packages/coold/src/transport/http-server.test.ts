import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it, vi } from 'vitest';
import { createHttpServer, type HttpLimits } from './http-server.ts';
import type { HandleRequest } from './rest.ts';

const log = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);
const hello: HandleRequest = (request, response) => {
  request.resume();
  request.once('end', () => response.end('hello'));
};

async function serve(options: { handle?: HandleRequest; limits?: Partial<HttpLimits> } = {}) {
  const limits = {
    headersTimeoutMs: 400,
    requestTimeoutMs: 800,
    stalledReplyMs: 20_000,
    maxConnections: 50,
    ...options.limits,
  };
  const server = createHttpServer({ handle: options.handle ?? hello, tls: undefined, limits, log });
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  const sockets: Socket[] = [];
  return {
    server,
    /** A raw connection that keeps what it is told; `ended` is when the other side hung up. */
    async dial(text = '') {
      const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
      sockets.push(socket);
      let heard = '';
      socket.on('data', chunk => {
        heard += String(chunk);
      });
      socket.on('error', () => {});
      const ended = new Promise<string>(resolve => socket.once('close', () => resolve(heard)));
      await once(socket, 'connect');
      socket.write(text);
      return { socket, ended, heard: () => heard };
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await server.close(0);
    },
  };
}

describe('a caller that dawdles is hung up on:', () => {
  it('one that says nothing', async () => {
    await using http = await serve();
    const { ended } = await http.dial();
    expect(await ended).toMatch(/^HTTP\/1\.1 408 |^$/);
  });

  it('one whose head comes a byte at a time', async () => {
    await using http = await serve();
    const { socket, ended } = await http.dial('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('a'), 50);
    const heard = await ended.finally(() => clearInterval(drip));
    expect(heard).toMatch(/^HTTP\/1\.1 408 /);
    expect(heard).toMatch(/\{"error":"request timeout","reason":"body_too_slow"\}$/);
  });

  it('one whose body comes a byte at a time', async () => {
    await using http = await serve();
    const { socket, ended } = await http.dial('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
    const drip = setInterval(() => socket.write('a'), 50);
    expect(await ended.finally(() => clearInterval(drip))).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('one that waits for its answer is not', async () => {
    const slow: HandleRequest = (request, response) => {
      request.resume();
      setTimeout(() => response.end('late'), 1500);
    };
    await using http = await serve({ handle: slow });
    const { heard } = await http.dial('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await soon(() => expect(heard()).toMatch(/late$/));
  });
});

it('one connection more than the cap is closed at once, and there is room when one left', async () => {
  await using http = await serve({
    limits: { maxConnections: 2, headersTimeoutMs: 20_000, requestTimeoutMs: 20_000 },
  });
  const first = await http.dial();
  await http.dial();
  const third = await http.dial('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(await third.ended).toBe('');
  first.socket.destroy();
  await soon(async () => {
    const again = await http.dial('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await again.ended).toMatch(/hello$/);
  });
});

describe('what is not HTTP is 400 or its own status, in JSON:', () => {
  it.each([
    ['nonsense', 'nonsense\r\n\r\n', 400],
    ['an unknown method', 'FROB / HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['a header of 20 KB', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', 405],
  ])('%s', async (_what, text, status) => {
    await using http = await serve();
    const { ended } = await http.dial(text);
    expect(await ended).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it('an expectation that is not understood is passed over, past no handler', async () => {
    await using http = await serve();
    const text = 'GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\nConnection: close\r\n\r\n';
    expect(await (await http.dial(text)).ended).toMatch(/^HTTP\/1\.1 200 [\s\S]*hello/);
  });

  it('an upgrade is not made', async () => {
    await using http = await serve();
    const upgrade = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n';
    expect(await (await http.dial(upgrade)).ended).not.toMatch(/^HTTP\/1\.1 101/);
  });
});

describe('closing', () => {
  const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

  it('lets requests under way finish, hangs up on who is idle, and takes no more', async () => {
    const slow = vi.fn<HandleRequest>((_request, response) => {
      setTimeout(() => response.end('late'), 300);
    });
    await using http = await serve({ handle: slow });
    const idle = await http.dial();
    const busy = await http.dial(request);
    await soon(() => expect(slow).toHaveBeenCalled());
    const started = performance.now();
    await http.server.close(60_000);
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(await busy.ended).toMatch(/late$/);
    expect(await idle.ended).toBe('');
    await expect(http.dial()).rejects.toThrow();
  });

  it('cuts what does not finish in time', async () => {
    const handle = vi.fn();
    await using http = await serve({ handle });
    const stuck = await http.dial(request);
    await soon(() => expect(handle).toHaveBeenCalled());
    await http.server.close(200);
    expect(await stuck.ended).toBe('');
  });
});
