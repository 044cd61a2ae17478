import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  agentStream,
  type ClientMsg,
  ClientMsgSchema,
  HelloSchema,
  ResponseSchema,
  ServerMsgSchema,
} from '@coold/proto';
import { type Backoff, createLogger, logFilter } from '@coold/runtime';
import { freePort, scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { keepLink, type LinkOptions } from './link.ts';

type Call = ServerDuplexStream<ClientMsg, Buffer>;

const log = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);
const hello = create(HelloSchema, {
  hostMgmtIp: '100.64.0.5',
  cooldVersion: '0.1.0',
  schemaMin: 1,
  schemaMax: 2,
  capabilities: ['coold'],
});

/** A broker that does with a stream what a test says. */
async function startBroker(onStream: (call: Call) => void, port = 0) {
  const server = new Server();
  const definition = {
    ...agentStream,
    requestDeserialize: (b: Buffer) => fromBinary(ClientMsgSchema, b),
    responseSerialize: (b: Buffer) => b,
  };
  server.addService({ stream: definition }, { stream: onStream });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error ? reject(error) : resolve(at),
    ),
  );
  return { port: bound, [Symbol.dispose]: () => server.forceShutdown() };
}

/** A link to 127.0.0.1:port with a token file, waits of a millisecond, and what it said of its state. */
async function startLink(port: number, overrides: Partial<LinkOptions> = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const tokenPath = join(folder.path, 'jwt');
  await writeFile(tokenPath, 'token-1\n', { mode: 0o600 });
  const stop = new AbortController();
  const states: string[] = [];
  const waits: string[] = [];
  const backoff: Backoff = {
    next() {
      waits.push('next');
      return 1;
    },
    reset: () => void waits.push('reset'),
  };
  const options: LinkOptions = {
    url: { host: '127.0.0.1', authority: `127.0.0.1:${port}`, tls: false },
    tokenPath,
    caPath: undefined,
    hello: async () => hello,
    serve:
      link =>
      ({ requestId }) =>
        link.send(answer(requestId)),
    log,
    onState: line => void states.push(line),
    backoff,
    ...overrides,
  };
  const done = keepLink(options)(stop.signal);
  done.catch(() => {});
  return {
    tokenPath,
    states,
    waits,
    done,
    stop,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done.catch(() => {});
      await stack.disposeAsync();
    },
  };
}

const answer = (requestId: string) =>
  Buffer.from(
    toBinary(
      ClientMsgSchema,
      create(ClientMsgSchema, {
        payload: { case: 'response', value: create(ResponseSchema, { requestId }) },
      }),
    ),
  );

const command = (requestId: string) =>
  Buffer.from(
    toBinary(
      ServerMsgSchema,
      create(ServerMsgSchema, { requestId, command: { case: 'listContainers', value: {} } }),
    ),
  );

describe('the link', () => {
  it('dials with its token, says Hello first, and answers commands side by side', async () => {
    const seen: ClientMsg[] = [];
    const authorizations: unknown[] = [];
    using broker = await startBroker(call => {
      authorizations.push(...call.metadata.get('authorization'));
      call.on('data', (message: ClientMsg) => {
        seen.push(message);
        if (message.payload.case === 'hello') for (const id of ['slow', 'quick']) call.write(command(id));
      });
    });
    const slow = Promise.withResolvers<void>();
    await using link = await startLink(broker.port, {
      serve:
        link =>
        async ({ requestId }) => {
          if (requestId === 'slow') await slow.promise;
          await link.send(answer(requestId));
        },
    });
    await soon(() => expect(seen).toHaveLength(2));
    slow.resolve();
    await soon(() => expect(seen).toHaveLength(3));
    expect(
      seen.map(({ payload }) => (payload.case === 'response' ? payload.value.requestId : payload.case)),
    ).toEqual(['hello', 'quick', 'slow']);
    expect(seen[0]?.payload.value).toMatchObject({
      hostMgmtIp: '100.64.0.5',
      schemaMin: 1,
      schemaMax: 2,
      capabilities: ['coold'],
    });
    expect(authorizations).toEqual(['Bearer token-1']);
    expect(link.states.at(-1)).toMatch(/connected$/);
  });

  it('redials after any end and rereads its token each time', async () => {
    const authorizations: string[] = [];
    using broker = await startBroker(call => {
      authorizations.push(...call.metadata.get('authorization').map(String));
      call.emit('error', { code: status.UNAUTHENTICATED, details: 'token expired' });
    });
    await using link = await startLink(broker.port);
    await soon(() => expect(authorizations.length).toBeGreaterThan(1));
    await writeFile(link.tokenPath, 'token-2', { mode: 0o600 });
    await soon(() => expect(authorizations).toContain('Bearer token-2'));
    expect(link.waits, 'a broker that refuses is not one that accepted').not.toContain('reset');
    expect(link.states.some(line => line.includes('UNAUTHENTICATED: token expired'))).toBe(true);
  });

  it('keeps the token it had when the file goes bad, and takes the next good one', async () => {
    const authorizations: string[] = [];
    using broker = await startBroker(call => {
      authorizations.push(...call.metadata.get('authorization').map(String));
      call.emit('error', { code: status.UNAVAILABLE, details: 'again' });
    });
    await using link = await startLink(broker.port);
    await soon(() => expect(authorizations).not.toEqual([]));
    await chmod(link.tokenPath, 0o644);
    const before = authorizations.length;
    await soon(() => expect(authorizations.length).toBeGreaterThan(before + 2));
    expect(new Set(authorizations)).toEqual(new Set(['Bearer token-1']));
    await writeFile(link.tokenPath, 'two\nlines');
    await chmod(link.tokenPath, 0o600);
    const during = authorizations.length;
    await soon(() => expect(authorizations.length).toBeGreaterThan(during + 2));
    await writeFile(link.tokenPath, 'token-2');
    await soon(() => expect(authorizations.at(-1)).toBe('Bearer token-2'));
    expect(new Set(authorizations)).toEqual(new Set(['Bearer token-1', 'Bearer token-2']));
  });

  it('outlives a broker that is not there, and finds it once it is', async () => {
    const port = await freePort();
    await using link = await startLink(port);
    await soon(() => expect(link.states.some(line => line.includes('not connected'))).toBe(true));
    const connected = Promise.withResolvers<void>();
    using _broker = await startBroker(call => {
      call.sendMetadata(call.metadata);
      connected.resolve();
    }, port);
    await connected.promise;
    await soon(() => expect(link.states.at(-1)).toMatch(/connected$/));
  });

  it('starts its backoff over once a broker took it in, but not when it was replaced', async () => {
    const codes = [status.UNAVAILABLE, status.ABORTED];
    using broker = await startBroker(call => {
      call.once('data', () => {
        call.sendMetadata(call.metadata);
        const code = codes.shift();
        if (code !== undefined) call.emit('error', { code, details: 'bye' });
      });
    });
    await using link = await startLink(broker.port);
    await soon(() => expect(link.waits).toEqual(['reset', 'next', 'next']));
  });

  it('fails at start, and at start only, when its token cannot be used', async () => {
    await using folder = await scratchFolder();
    const tokenPath = join(folder.path, 'missing');
    await using link = await startLink(1, { tokenPath });
    await expect(link.done).rejects.toThrow(/missing cannot be read/);
  });

  it('says of a token file that holds something else which file, and nothing of what is in it', async () => {
    await using folder = await scratchFolder();
    const tokenPath = join(folder.path, 'jwt');
    await writeFile(tokenPath, 'SECRET\nOTHER', { mode: 0o600 });
    await using link = await startLink(1, { tokenPath });
    await expect(link.done).rejects.toThrow(`${tokenPath} does not hold a token: expected one JWT`);
  });

  it.each([
    ['is not there', undefined],
    ['holds no certificate', 'garbage'],
  ])('names the CA file that %s', async (_, content) => {
    await using folder = await scratchFolder();
    const caPath = join(folder.path, 'ca.pem');
    if (content !== undefined) await writeFile(caPath, content);
    const url = { host: 'broker', authority: 'broker:1', tls: true };
    await using link = await startLink(1, { caPath, url });
    await expect(link.done).rejects.toThrow(`COOLD_BROKER_CA=${caPath}: `);
  });

  it('ends its stream in good order when it is told to stop', async () => {
    const ended = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    using broker = await startBroker(call => {
      call.on('data', () => started.resolve());
      call.once('end', () => {
        ended.resolve();
        call.end();
      });
    });
    await using link = await startLink(broker.port);
    await started.promise;
    link.stop.abort();
    await ended.promise;
    await link.done;
  });

  it('stops within its grace though a command hangs', async () => {
    const asked = Promise.withResolvers<void>();
    using broker = await startBroker(call => {
      call.on('data', () => call.write(command('hangs')));
    });
    await using link = await startLink(broker.port, {
      serve: () => () => {
        asked.resolve();
        return new Promise(() => {});
      },
    });
    await asked.promise;
    link.stop.abort();
    await link.done;
  });

  it('sends PINGs on the wire', async () => {
    const server: Http2Server = createHttp2Server();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sessions: ServerHttp2Session[] = [];
    server.on('session', session => sessions.push(session));
    const { port } = server.address() as AddressInfo;
    await using _link = await startLink(port, { keepalive: { everyMs: 50, timeoutMs: 2000 } });
    await soon(() => expect(sessions).toHaveLength(1));
    const [session] = sessions;
    if (session === undefined) return;
    await once(session, 'ping');
    await once(session, 'ping');
    for (const open of sessions) open.destroy();
    server.close();
  });
});

describe('a broker that stops', () => {
  const hint = Buffer.from(
    toBinary(
      ServerMsgSchema,
      create(ServerMsgSchema, { command: { case: 'shutdownHint', value: { windowMs: 20 } } }),
    ),
  );

  it('is left once what it asked for is answered, and dialled again within its window', async () => {
    const seen: string[] = [];
    let streams = 0;
    using broker = await startBroker(call => {
      streams += 1;
      call.on('data', ({ payload }: ClientMsg) => {
        seen.push(`${payload.case}`);
        if (payload.case !== 'hello' || streams > 1) return;
        call.sendMetadata(call.metadata);
        call.write(command('slow'));
        call.write(hint);
      });
      call.once('end', () => {
        seen.push('end');
        call.end();
      });
    });
    const answered = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    await using link = await startLink(broker.port, {
      serve:
        link =>
        async ({ requestId }) => {
          asked.resolve();
          await answered.promise;
          await link.send(answer(requestId));
        },
    });
    await asked.promise;
    answered.resolve();
    await soon(() => expect(seen).toEqual(['hello', 'response', 'end', 'hello']));
    expect(link.waits, 'no failure, so no backoff').toEqual(['reset']);
  });

  it('is left within the grace though a command hangs', async () => {
    let streams = 0;
    using broker = await startBroker(call => {
      streams += 1;
      call.once('data', () => {
        call.sendMetadata(call.metadata);
        if (streams > 1) return;
        call.write(command('hangs'));
        call.write(hint);
      });
    });
    await using _link = await startLink(broker.port, { serve: () => () => new Promise(() => {}) });
    await soon(() => expect(streams).toBe(2));
  }, 30_000);
});

it('the link ends its stream in good order and dials again as often as it is told', async () => {
  let ended = 0;
  using broker = await startBroker(call => {
    call.once('data', () => call.sendMetadata(call.metadata));
    call.once('end', () => {
      ended += 1;
      call.end();
    });
  });
  await using link = await startLink(broker.port, { reconnectEveryMs: 50 });
  await soon(() => expect(ended).toBeGreaterThan(1));
  expect(link.waits).not.toContain('next');
}, 30_000);
