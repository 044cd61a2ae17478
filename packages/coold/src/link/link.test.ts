import { once } from 'node:events';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2Server,
  type ServerHttp2Session,
} from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  agentStream,
  type ClientMsg,
  ClientMsgSchema,
  HelloSchema,
  ResponseSchema,
  ServerMsgSchema,
} from '@coold/proto';
import { type Backoff, createChangeSignal, type Logger, logFilter, rememberLines } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { createAuthority, freePort, scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { Metadata, Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { createBrokerClock } from './broker-clock.ts';
import type { KnownCredentials } from './credentials.ts';
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
    onCredentials: () => {},
    ways: createChangeSignal(),
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

/** A logger whose errors a test looks at. */
function listenLog(): { log: Logger; errors: unknown[][] } {
  const errors: unknown[][] = [];
  return { errors, log: { ...log, error: (...line: unknown[]) => void errors.push(line) } };
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
  it('answers a command of another dialect with what the broker seems to be, does nothing, and stays up', async () => {
    const served: string[] = [];
    const answers: ClientMsg[] = [];
    // images.pull in the place of list_containers, and containers.create in that of build.
    const foreign = (field: number, tag: number) => {
      const writer = new BinaryWriter();
      writer.tag(1, WireType.LengthDelimited).string(`f-${field}`);
      writer
        .tag(field, WireType.LengthDelimited)
        .fork()
        .tag(tag, WireType.LengthDelimited)
        .string('nginx:1')
        .join();
      return Buffer.from(writer.finish());
    };
    using broker = await startBroker(call => {
      call.sendMetadata(new Metadata());
      call.on('data', (message: ClientMsg) => {
        if (message.payload.case === 'hello') {
          for (const frame of [foreign(10, 1), foreign(20, 3), command('good')]) call.write(frame);
        } else answers.push(message);
      });
    });
    const { log: remembering, recent } = rememberLines(log, 10);
    await using link = await startLink(broker.port, {
      log: remembering,
      serve:
        ({ send }) =>
        ({ requestId }) => {
          served.push(requestId);
          return send(answer(requestId));
        },
    });
    await soon(() => expect(answers).toHaveLength(3));
    const bodies = new Map(
      answers.flatMap(({ payload }) =>
        payload.case === 'response' ? [[payload.value.requestId, payload.value.body] as const] : [],
      ),
    );
    const refused = {
      case: 'error',
      value: { code: 501, message: expect.stringContaining('another dialect of this protocol (flux)') },
    };
    expect(bodies.get('f-10')).toMatchObject(refused);
    expect(bodies.get('f-20')).toMatchObject(refused);
    expect(bodies.has('good')).toBe(true);
    expect(served).toEqual(['good']);
    expect(link.waits).toEqual([]);
    expect(recent().map(({ message }) => message)).toEqual([expect.stringContaining('nothing is done')]);
  });

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

  it.each<[string, (path: string) => Promise<unknown>, RegExp]>([
    ['that is missing', async () => {}, /jwt cannot be read: ENOENT/],
    ['that is empty', path => writeFile(path, '', { mode: 0o600 }), /jwt is empty$/],
    ['that cannot be read', path => mkdir(path), /jwt is not a regular file$/],
    ['that others can read', path => writeFile(path, 'token', { mode: 0o644 }), /jwt has mode 644: /],
    [
      'that holds something else',
      path => writeFile(path, 'SECRET\nOTHER', { mode: 0o600 }),
      /jwt does not hold a token: expected one JWT$/,
    ],
  ])('waits for a token file %s, says so once, and dials when it is good', async (_, spoil, problem) => {
    await using folder = await scratchFolder();
    const tokenPath = join(folder.path, 'jwt');
    await spoil(tokenPath);
    const authorizations: unknown[] = [];
    using broker = await startBroker(call => {
      authorizations.push(...call.metadata.get('authorization'));
      call.sendMetadata(call.metadata);
    });
    const looks: KnownCredentials[] = [];
    const logged = listenLog();
    await using link = await startLink(broker.port, {
      tokenPath,
      lookMs: 1,
      log: logged.log,
      onCredentials: known => void looks.push(known),
    });
    await soon(() => expect(looks.length).toBeGreaterThan(5));
    expect(looks[0]).toEqual({ current: undefined, problem: expect.stringMatching(problem) });
    expect(link.states[0]).toBe(`broker 127.0.0.1:${broker.port}: not dialled, ${looks[0]?.problem}`);
    expect(logged.errors).toHaveLength(1);
    expect(JSON.stringify([link.states, logged.errors])).not.toContain('SECRET');
    await rm(tokenPath, { recursive: true, force: true });
    await writeFile(tokenPath, 'good', { mode: 0o600 });
    await soon(() => expect(link.states.at(-1)).toMatch(/connected$/));
    expect(authorizations).toEqual(['Bearer good']);
    expect(looks.at(-1)).toMatchObject({ problem: undefined });
  });

  it.each([
    ['is not there', undefined],
    ['holds no certificate', 'garbage'],
  ])('waits for the CA file that %s, and names it', async (_, content) => {
    await using folder = await scratchFolder();
    const caPath = join(folder.path, 'ca.pem');
    if (content !== undefined) await writeFile(caPath, content);
    const url = { host: 'broker', authority: 'broker:1', tls: true };
    await using link = await startLink(1, { caPath, url, lookMs: 1 });
    await soon(() => expect(link.states.length).toBeGreaterThan(3));
    for (const state of link.states) expect(state).toContain(`not dialled, COOLD_BROKER_CA=${caPath}: `);
  });

  it("names COOLD_BROKER_CA when the broker's certificate is of another CA", async () => {
    await using folder = await scratchFolder();
    const [known, other] = await Promise.all([
      createAuthority(folder.path, 'known'),
      createAuthority(folder.path, 'other'),
    ]);
    const { credentials } = await other.issue('broker');
    const server = createSecureServer(credentials).on('sessionError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = { host: '127.0.0.1', authority: `127.0.0.1:${port}`, tls: true };
    await using link = await startLink(port, { caPath: known.caPath, url });
    await soon(() =>
      expect(link.states.at(-1)).toMatch(
        /UNAVAILABLE: .*certificate.*; this host does not trust the CA of the broker's certificate: see COOLD_BROKER_CA\)$/,
      ),
    );
    expect(link.states.join()).not.toContain('use-system-ca');
    server.close();
  });

  it('gives up a dial that gets no answer, and leaves no connection behind', async () => {
    const connections = new Set<Socket>();
    let seen = 0;
    const silent = createServer(socket => {
      seen += 1;
      connections.add(socket);
      socket.on('error', () => {});
      socket.resume().once('close', () => connections.delete(socket));
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    try {
      const { port } = silent.address() as AddressInfo;
      await using link = await startLink(port, { connectMs: 50 });
      await soon(() => expect(seen).toBeGreaterThan(4));
      expect(link.states).toContain(
        `broker 127.0.0.1:${port}: not connected (UNAVAILABLE: no connection within 0.05 s)`,
      );
      link.stop.abort();
      await link.done;
      await soon(() => expect(connections.size).toBe(0));
    } finally {
      silent.close();
    }
  });

  it('dials again at once when addresses or routes change, whether it waits or dials', async () => {
    const hourMs = 3_600_000;
    const backoff = { next: () => hourMs, reset() {} };
    const ways = createChangeSignal();
    const port = await freePort();
    await using waiting = await startLink(port, { backoff, ways });
    await soon(() => expect(waiting.states.at(-1)).toContain('not connected'));
    {
      const silent = createServer().listen(port, '127.0.0.1');
      const dialled = once(silent, 'connection');
      ways.announce();
      await dialled;
      silent.close();
    }
    expect(waiting.states.at(-1)).toMatch(/connecting$/);
    using _broker = await startBroker(call => call.sendMetadata(call.metadata), port);
    ways.announce();
    await soon(() => expect(waiting.states.at(-1)).toMatch(/connected$/));
    expect(
      waiting.states.filter(line => line.includes("this host's addresses or routes changed")),
    ).toHaveLength(1);
  });

  it('a change while the stream is up is no reason to redial at once when it ends', async () => {
    const calls: Call[] = [];
    using broker = await startBroker(call => {
      calls.push(call);
      call.sendMetadata(call.metadata);
    });
    const ways = createChangeSignal();
    const hourMs = 3_600_000;
    await using link = await startLink(broker.port, { ways, backoff: { next: () => hourMs, reset() {} } });
    await soon(() => expect(link.states.at(-1)).toMatch(/connected$/));
    ways.announce();
    expect(link.states.at(-1), 'and none to end it').toMatch(/connected$/);
    calls[0]?.emit('error', { code: status.UNAVAILABLE, details: 'gone' });
    await soon(() => expect(link.states.at(-1)).toContain('not connected (UNAVAILABLE: gone)'));
    await new Promise(resolve => setImmediate(resolve));
    expect(calls).toHaveLength(1);
  });

  it('ends its stream in order when it is told to stop', async () => {
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

it('the link ends its stream in order and dials again as often as it is told', async () => {
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

describe("the broker's time", () => {
  /** A clock that is so far ahead, and how often an answer told it something. */
  function clockAhead(ms: number) {
    let aheadMs = ms;
    const inner = createBrokerClock(() => Date.now() + aheadMs);
    const told: unknown[] = [];
    const clock = {
      ...inner,
      told(date: unknown) {
        told.push(date);
        inner.told(date);
      },
    };
    const set = (now: number) => {
      aheadMs = now;
    };
    return { clock, told, set };
  }

  it('comes with its answer, and is asked for again only while the clocks differ', async () => {
    using broker = await startBroker(call => call.sendMetadata(new Metadata()));
    const { clock, told, set } = clockAhead(3_600_000);
    const warned: string[] = [];
    const heard = { ...log, warn: (_: unknown, line?: string) => void warned.push(line ?? '') };
    await using _ = await startLink(broker.port, { clock, askTimeMs: 10, log: heard });
    await soon(() => expect(told.length).toBeGreaterThan(3));
    expect(told.every(date => typeof date === 'string' && Number.isFinite(Date.parse(date)))).toBe(true);
    expect(Math.round((clock.aheadMs() ?? 0) / 60_000)).toBe(60);
    expect(warned.filter(line => line.includes("this host's clock and the broker's differ"))).toHaveLength(1);
    set(0);
    await soon(() => expect(clock.isOff()).toBe(false));
    // What was on its way when the clock was set comes within a moment.
    await delay(200);
    const asked = told.length;
    await delay(200);
    expect(told).toHaveLength(asked);
  });

  it('is logged also where this clock was set while the stream was up', async () => {
    using broker = await startBroker(call => call.sendMetadata(new Metadata()));
    const { clock, told, set } = clockAhead(0);
    const lines: string[] = [];
    const say = (_: unknown, line?: string) => void lines.push(line ?? '');
    await using _ = await startLink(broker.port, {
      clock,
      askTimeMs: 10,
      log: { ...log, warn: say, info: say },
    });
    const ofClocks = () => lines.filter(line => line.startsWith("this host's clock"));
    await soon(() => expect(told.length).toBeGreaterThan(0));
    expect(ofClocks()).toEqual([]);
    set(3_600_000);
    await soon(() => expect(ofClocks()).toEqual([expect.stringContaining("and the broker's differ")]));
    set(0);
    await soon(() => expect(ofClocks()).toEqual([expect.anything(), expect.stringContaining('agrees')]));
  });

  it('comes with a refusal, too', async () => {
    using broker = await startBroker(call =>
      call.emit('error', { code: status.UNAUTHENTICATED, details: 'token refused: it has expired' }),
    );
    const { clock } = clockAhead(-3_600_000);
    await using _ = await startLink(broker.port, { clock });
    await soon(() => expect(Math.round((clock.aheadMs() ?? 0) / 60_000)).toBe(-60));
  });
});
