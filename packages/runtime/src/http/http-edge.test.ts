import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createHttpEdge, type HttpEdge, type HttpEdgeOptions } from './http-edge.ts';

const stack: { close(): void }[] = [];
afterEach(() => {
  for (const { close } of stack.splice(0).reverse()) close();
});

/** A server with an edge, and connections to it whose bytes a test writes itself. */
async function serve(
  handle: (edge: HttpEdge) => RequestListener,
  options: Partial<HttpEdgeOptions> = {},
): Promise<{ edge: HttpEdge; open(): Promise<Socket> }> {
  const edge = createHttpEdge({
    errorBody: (status, message) => JSON.stringify({ oops: message, status }),
    bodyTimeoutMs: 60_000,
    stalledReplyMs: 60_000,
    ...options,
  });
  const server = createServer(
    { requestTimeout: 0, headersTimeout: 500, connectionsCheckingInterval: 50 },
    handle(edge),
  );
  server.on('clientError', (error, socket) => edge.answerMalformed(error, socket));
  edge.watch(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) expect.fail('no port');
  stack.push({ close: () => server.close().closeAllConnections() });
  return {
    edge,
    async open() {
      const socket = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
      stack.push({ close: () => socket.destroy() });
      socket.on('error', () => {});
      await once(socket, 'connect');
      return socket;
    },
  };
}

async function everything(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

const large = Buffer.alloc(32 * 1024 * 1024, 'x');
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

describe('bytes that are not a request', () => {
  it.each([
    ['text', 'hello\r\n\r\n', 400, 'not an HTTP request'],
    ['a head of 64 KB', `GET / HTTP/1.1\r\nx: ${'y'.repeat(65_536)}\r\n\r\n`, 431, 'headers too large'],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n', 405, 'CONNECT is for proxies'],
  ])('%s: answered in the form of the server', async (_, bytes, status, oops) => {
    const { open } = await serve(() => () => expect.fail('no request'));
    const socket = await open();
    socket.write(bytes);
    const [head = '', body = ''] = (await everything(socket)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(body)).toEqual({ oops, status });
  });

  it('survives a CONNECT whose caller leaves before the answer', async () => {
    const { open } = await serve(() => () => expect.fail('no request'));
    for (let round = 0; round < 50; round += 1) {
      const socket = await open();
      socket.write('CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n', () => socket.resetAndDestroy());
      await once(socket, 'close');
    }
    const last = await open();
    last.write('CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n');
    expect(await everything(last)).toMatch(/^HTTP\/1\.1 405 /);
  });

  it('in the middle of a reply end the connection, and garble nothing', async () => {
    const { open } = await serve(() => (_request, response) => void response.write('begun'));
    const socket = await open();
    socket.write(get);
    await once(socket, 'readable');
    socket.write('garbage\r\n\r\n');
    expect(await everything(socket)).toMatch(/\r\nbegun\r\n$/);
  });
});

describe('a body', () => {
  const slow = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{';

  it('that never ends is 408', async () => {
    const { open } = await serve(() => () => {}, { bodyTimeoutMs: 100 });
    const socket = await open();
    socket.write(slow);
    expect(await everything(socket)).toMatch(/^HTTP\/1\.1 408 .*"oops":"request timeout"/s);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['is being answered', response => void response.write('early')],
    ['was answered', response => void response.end('early')],
  ])('that never ends, of a request that %s, ends the connection', async (_, answer) => {
    const { open } = await serve(() => (_request, response) => answer(response), { bodyTimeoutMs: 100 });
    const socket = await open();
    socket.write(slow);
    const text = await everything(socket);
    expect(text).toContain('early');
    expect(text).not.toContain('408');
  });

  it('has nothing to do with the head, which Node limits still', async () => {
    const { open } = await serve(() => () => expect.fail('no request'));
    const socket = await open();
    socket.write('GET / HTTP/1.1\r\nhost:');
    expect(await everything(socket)).toMatch(/^HTTP\/1\.1 408 .*"oops":"request timeout"/s);
  });

  const refuse = (_request: IncomingMessage, response: ServerResponse) =>
    response.writeHead(400, { connection: 'close' }).end('no, because');
  const begins = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n';

  it('whose sender continues after the last answer of its connection: the answer still arrives', async () => {
    const answered = Promise.withResolvers<void>();
    const { open } = await serve(() => async (request, response) => {
      const chunks = request.iterator({ destroyOnReturn: false });
      await chunks.next();
      // Asked for, and left.
      void chunks.next().catch(() => {});
      response.once('close', answered.resolve);
      refuse(request, response);
    });
    const socket = await open();
    socket.write(begins);
    await answered.promise;
    for (let n = 0; n < 3; n += 1) {
      await new Promise<void>((resolve, reject) =>
        socket.write('4\r\nmore\r\n', error => (error == null ? resolve() : reject(error))),
      );
      await delay(20); // a reset would take as long to come
    }
    socket.end('0\r\n\r\n');
    expect(await everything(socket)).toContain('no, because');
  });

  it('whose sender continues for too long after it is cut off', async () => {
    const { open } = await serve(() => refuse, { lingerMs: 100 });
    const socket = await open();
    socket.write(begins);
    socket.resume();
    await once(socket, 'end');
    const going = setInterval(() => socket.write('4\r\nmore\r\n'), 10);
    await new Promise(resolve => socket.once('close', resolve));
    clearInterval(going);
  });

  it('that is left to its handler takes its time', async () => {
    const { open } = await serve(
      edge => async (request, response) => {
        if (request.url === '/watched') return;
        edge.leaveBody(request);
        let size = 0;
        for await (const chunk of request) size += (chunk as Buffer).length;
        response.end(`got ${size}`);
      },
      { bodyTimeoutMs: 100 },
    );
    const [patient, watched] = [await open(), await open()];
    patient.write(slow);
    await new Promise(resolve => patient.write('1', resolve));
    watched.write(slow.replace(' / ', ' /watched '));
    expect(await everything(watched)).toContain('408');
    patient.write('2345678');
    await once(patient, 'readable');
    expect(String(patient.read())).toContain('got 9');
  });
});

describe('a reply', () => {
  it('of which nothing is taken is cut off', async () => {
    const closed = vi.fn<(finished: boolean) => void>();
    const { open } = await serve(
      () => (_request, response) => {
        response.once('close', () => closed(response.writableFinished));
        response.end(large);
      },
      { stalledReplyMs: 100 },
    );
    const socket = await open();
    socket.pause();
    socket.write(get);
    await vi.waitFor(() => expect(closed).toHaveBeenCalledWith(false), { timeout: 20_000 });
  });

  it('that is taken slowly, for longer than that in all, is written whole', async () => {
    const { open } = await serve(() => (_request, response) => void response.end(large), {
      stalledReplyMs: 1500,
    });
    const socket = await open();
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    let size = 0;
    let pauses = 10;
    for await (const chunk of socket) {
      size += (chunk as Buffer).length;
      if (size < ((11 - pauses) * large.length) / 16 || pauses === 0) continue;
      pauses -= 1;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    expect(size).toBeGreaterThan(large.length);
    expect(pauses).toBe(0);
  });

  it('that is quiet is left alone, and cut off once something is left unread', async () => {
    const sent = Promise.withResolvers<(bytes: Buffer) => void>();
    const closed = vi.fn<() => void>();
    const timedOut = Promise.withResolvers<void>();
    const { open } = await serve(
      () => (_request, response) => {
        response.once('close', closed);
        response.on('timeout', () => timedOut.resolve());
        response.write('begun');
        sent.resolve(bytes => void response.write(bytes));
      },
      { stalledReplyMs: 100 },
    );
    const socket = await open();
    socket.write(get);
    await once(socket, 'readable');
    await timedOut.promise;
    expect(closed).not.toHaveBeenCalled();
    (await sent.promise)(large);
    await vi.waitFor(() => expect(closed).toHaveBeenCalled(), { timeout: 20_000 });
  });
});

describe('settled', () => {
  it('waits for replies under way, and not beyond its limit', async () => {
    const replies: (() => void)[] = [];
    const { edge, open } = await serve(() => (_request, response) => void replies.push(() => response.end()));
    await edge.settled(60_000);
    (await open()).write(get);
    await vi.waitFor(() => expect(replies).toHaveLength(1));
    await edge.settled(10);
    let settled = false;
    const done = edge.settled(60_000).then(() => {
      settled = true;
    });
    expect(settled).toBe(false);
    replies[0]?.();
    await done;
  });
});
