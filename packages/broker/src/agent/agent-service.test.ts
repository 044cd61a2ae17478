import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { HostedBuild_State, maxResponseBytes, readVerbs, type ServerMsg } from '@coold/proto';
import { layCable } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { startAgents, tokenFor } from '../../test/agents.ts';
import { createDispatch } from '../dispatch/dispatch.ts';
import type { Keepalive } from '../grpc/grpc.ts';
import { compileRoutes } from '../hosts/router.ts';
import { generateKeys, mintToken } from './token.ts';

async function setUp(options: { helloTimeoutMs?: number; keepalive?: Keepalive } = {}) {
  const { keepalive, ...rest } = options;
  const broker = await startAgents({
    helloTimeoutMs: 10_000,
    windowBytes: 1024,
    ...rest,
    ...(keepalive === undefined ? {} : { grpc: { keepalive } }),
  });
  const { hosts, pending } = broker;
  const dispatch = createDispatch({ hosts, pending, routes: compileRoutes(readVerbs()), record: () => {} });
  const ask = async (hostId: string, requestId: string) => {
    const { reply, ticket } = dispatch({
      host_id: hostId,
      request_id: requestId,
      command: { type: 'list_containers' },
    });
    const settled = await reply;
    ticket?.delivered();
    return settled;
  };
  return { ...broker, dispatch, ask };
}

const noContainers = { body: { case: 'listContainers' as const, value: { containers: [] } } };

describe('a stream is taken in', () => {
  it('by its token and Hello, and answers dispatches', async () => {
    using broker = await setUp();
    const host = broker.connect({
      token: await tokenFor('h'),
      onCommand: ({ requestId }, self) => self.respond({ requestId, ...noContainers }),
    });
    await host.accepted;
    expect(broker.hosts.list()).toMatchObject([
      { hostId: 'h', cooldVersion: '0.0.0-stub', schemaMax: 2, capabilities: ['coold'] },
    ]);
    expect(await broker.ask('h', 'r')).toMatchObject({ status: 200, envelope: { status: 'ok', data: [] } });
    host.finish();
    expect((await host.ended).code).toBe(status.OK);
    expect(broker.hosts.list()).toEqual([]);
  });

  it('when it says nothing of schemas, as one of schema 1', async () => {
    using broker = await setUp();
    const host = broker.connect({ token: await tokenFor('h'), hello: { cooldVersion: 'old' } });
    await host.accepted;
    expect(broker.hosts.get('h')?.schemaMax).toBe(1);
    host.cut();
  });

  it('with all the builds that a host may have, whatever their ids', async () => {
    using broker = await setUp();
    const builds = Array.from({ length: 2300 }, (_, i) => ({
      requestId: `${i}`.padStart(128, 'b'),
      state: i < 300 ? HostedBuild_State.QUEUED : HostedBuild_State.FINISHED,
    }));
    const hello = { cooldVersion: '1', schemaMax: 2, capabilities: ['coold', 'builder'], builds };
    const host = broker.connect({ token: await tokenFor('h', ['coold', 'builder']), hello });
    await host.accepted;
    expect(broker.hosts.get('h')?.capabilities).toContain('builder');
    host.cut();
  });

  it('again and again in place of another of the same host: the broker remembers whose and from where', async () => {
    using broker = await setUp();
    const token = await tokenFor('h');
    for (let replaced = 0; replaced <= 4; replaced += 1) {
      expect(broker.counts.contested.list()).toEqual([]);
      await broker.connect({ token }).accepted;
    }
    expect(broker.counts.contested.list()).toEqual([
      { hostId: 'h', replacements: 4, addresses: ['127.0.0.1'] },
    ]);
  });

  it('in place of the host’s first, whose late end changes nothing', async () => {
    using broker = await setUp();
    const first = broker.connect({ token: await tokenFor('h') });
    await first.accepted;
    const parked = broker.ask('h', 'r');
    const second = broker.connect({
      token: await tokenFor('h'),
      onCommand: ({ requestId }, self) => self.respond({ requestId, ...noContainers }),
    });
    await second.accepted;
    expect((await parked).status, 'what was sent on the first fails at once').toBe(503);
    expect((await first.ended).code).toBe(status.ABORTED);
    expect((await broker.ask('h', 'r')).status).toBe(200);
    expect(broker.hosts.list()).toHaveLength(1);
    second.cut();
  });
});

describe('a stream is dropped', () => {
  it.each<[string, () => Promise<string | undefined>, status]>([
    ['without a token', async () => undefined, status.UNAUTHENTICATED],
    ['with text for a token', async () => 'hello', status.UNAUTHENTICATED],
    [
      'with a token that another key signed',
      () => mintToken(generateKeys().privateKey, { hostId: 'h', caps: ['coold'], ttlMs: 1000 }),
      status.UNAUTHENTICATED,
    ],
    ['with a token that does not grant coold', () => tokenFor('h', ['builder']), status.PERMISSION_DENIED],
  ])('%s', async (_, token, code) => {
    using broker = await setUp();
    const given = await token();
    const host = broker.connect(given === undefined ? {} : { token: given });
    expect((await host.ended).code).toBe(code);
    expect(broker.hosts.list()).toEqual([]);
  });

  it.each([
    [
      'a capability the token does not grant',
      { capabilities: ['coold', 'builder'] },
      status.PERMISSION_DENIED,
    ],
    ['schemas that are not ours', { schemaMin: 7, schemaMax: 9 }, status.FAILED_PRECONDITION],
    ['schemas the wrong way round', { schemaMin: 2, schemaMax: 1 }, status.FAILED_PRECONDITION],
    ['a version of 1 KB', { cooldVersion: 'x'.repeat(1024) }, status.INVALID_ARGUMENT],
    ['a thousand capabilities', { capabilities: Array<string>(1000).fill('coold') }, status.INVALID_ARGUMENT],
  ])('when its Hello names %s', async (_, hello, code) => {
    using broker = await setUp();
    const host = broker.connect({ token: await tokenFor('h'), hello });
    expect((await host.ended).code).toBe(code);
    expect(broker.hosts.list()).toEqual([]);
  });

  it('when no Hello comes in time', async () => {
    using broker = await setUp({ helloTimeoutMs: 100 });
    const host = broker.connect({ token: await tokenFor('h'), hello: null });
    expect((await host.ended).code).toBe(status.DEADLINE_EXCEEDED);
  });

  it('when a Response comes before its Hello', async () => {
    using broker = await setUp();
    const host = broker.connect({ token: await tokenFor('h'), hello: null });
    host.respond({ requestId: 'r' });
    expect((await host.ended).code).toBe(status.FAILED_PRECONDITION);
  });

  it('when it sends undecodable bytes, and the other streams stay', async () => {
    using broker = await setUp();
    const other = broker.connect({ token: await tokenFor('other') });
    const host = broker.connect({ token: await tokenFor('h') });
    await Promise.all([other.accepted, host.accepted]);
    host.sendRaw(Uint8Array.of(0x0a, 0xff, 0xff));
    expect((await host.ended).code).toBe(status.INVALID_ARGUMENT);
    await soon(() => expect(broker.hosts.list().map(stream => stream.hostId)).toEqual(['other']));
    other.cut();
  });
});

describe('a live stream', () => {
  it('fails what is parked on it the moment its connection is cut', async () => {
    using broker = await setUp();
    const host = broker.connect({ token: await tokenFor('h') });
    await host.accepted;
    const parked = Promise.all([broker.ask('h', 'r-1'), broker.ask('h', 'r-2')]);
    await soon(() => expect(broker.pending.counts().waiting).toBe(2));
    host.cut();
    expect((await parked).map(({ status }) => status)).toEqual([503, 503]);
    expect(await broker.ask('h', 'r-3')).toMatchObject({ status: 404 });
  });

  it('ignores a second Hello and answers nobody waits for', async () => {
    using broker = await setUp();
    const host = broker.connect({
      token: await tokenFor('h'),
      onCommand({ requestId }, self) {
        self.sendHello({ cooldVersion: 'another' });
        self.respond({ requestId: 'unknown', ...noContainers });
        self.respond({ requestId, ...noContainers });
        self.respond({ requestId, ...noContainers });
      },
    });
    await host.accepted;
    expect((await broker.ask('h', 'r-1')).status).toBe(200);
    expect((await broker.ask('h', 'r-2')).status).toBe(200);
    expect(broker.hosts.get('h')?.cooldVersion).toBe('0.0.0-stub');
    expect(
      broker.lines.filter(line => line.includes('no caller waits for')),
      'the first of them, not each',
    ).toHaveLength(1);
    host.cut();
  });

  it('that reads nothing fails its own dispatches once enough is unread', async () => {
    using broker = await setUp();
    const host = broker.connect({ token: await tokenFor('h'), reads: false });
    await host.accepted;
    const statuses: number[] = [];
    for (let n = 0; n < 90 && statuses.length === 0; n += 1) {
      // Each is given up by its caller, so that the cap on pending dispatches is not what is met.
      for (let m = 0; m < 80; m += 1) {
        const command = { host_id: 'h', request_id: `r-${n}-${m}`, command: { type: 'list_containers' } };
        const { reply, ticket } = broker.dispatch(command);
        if (ticket === undefined) statuses.push((await reply).status);
        else ticket.undelivered();
      }
    }
    expect(statuses[0]).toBe(503);
    host.cut();
  });

  it('may send a megabyte before an acknowledgement: an answer from far away takes few round trips', async () => {
    using broker = await setUp();
    const session = connectHttp2(`http://${broker.address}`);
    await once(session, 'remoteSettings');
    expect(session.remoteSettings.initialWindowSize).toBe(1 << 20);
    await soon(() => expect(session.state.remoteWindowSize).toBe(1 << 20));
    session.destroy();
  });

  it('ignores payloads of a later schema', async () => {
    using broker = await setUp();
    const host = broker.connect({
      token: await tokenFor('h'),
      onCommand({ requestId }, self) {
        self.sendRaw(Uint8Array.of(0xd2, 0x0f, 3, 1, 2, 3)); // field 250
        self.respond({ requestId, ...noContainers });
      },
    });
    await host.accepted;
    expect((await broker.ask('h', 'r')).status).toBe(200);
    host.cut();
  });

  it('cannot answer for another host', async () => {
    using broker = await setUp();
    const commands: ServerMsg[] = [];
    const honest = broker.connect({
      token: await tokenFor('honest'),
      onCommand: message => void commands.push(message),
    });
    const liar = broker.connect({
      token: await tokenFor('liar'),
      onCommand: ({ requestId }, self) => self.respond({ requestId, ...noContainers }),
    });
    await Promise.all([honest.accepted, liar.accepted]);
    const parked = broker.ask('honest', 'r-1');
    await soon(() => expect(commands).toHaveLength(1));
    liar.respond({ requestId: 'r-1', body: { case: 'error', value: { code: 500, message: 'forged' } } });
    expect((await broker.ask('liar', 'r-2')).status, 'the forged answer was read by now').toBe(200);
    honest.respond({ requestId: 'r-1', ...noContainers });
    expect((await parked).status).toBe(200);
    honest.cut();
    liar.cut();
  });

  it('survives an answer over 4 MiB, whose caller gets 413', async () => {
    using broker = await setUp();
    let size = maxResponseBytes + 1;
    const host = broker.connect({
      token: await tokenFor('h'),
      onCommand({ requestId }, self) {
        const containers = [{ id: 'x'.repeat(size) }];
        size = 10;
        self.respond({ requestId, body: { case: 'listContainers', value: { containers } } });
      },
    });
    await host.accepted;
    expect(await broker.ask('h', 'r-1')).toMatchObject({
      status: 200,
      envelope: { status: 'error', code: 413 },
    });
    expect(await broker.ask('h', 'r-2')).toMatchObject({ status: 200, envelope: { status: 'ok' } });
    host.cut();
  });
});

describe('keepalive', () => {
  it('sends PINGs on the wire', async () => {
    using broker = await setUp({ keepalive: { everyMs: 50, timeoutMs: 1000 } });
    const session = connectHttp2(`http://${broker.address}`);
    await once(session, 'ping');
    await once(session, 'ping');
    session.destroy();
  });

  it('gives up a host that is silent: its dispatch ends with 503, then it is not connected', async () => {
    using broker = await setUp({ keepalive: { everyMs: 100, timeoutMs: 200 } });
    const [host = '', port = ''] = broker.address.split(':');
    await using cable = await layCable({ host, port: Number(port) });
    const stub = broker.connect({ address: `127.0.0.1:${cable.port}`, token: await tokenFor('h') });
    await stub.accepted;
    cable.cut();
    expect(await broker.ask('h', 'r')).toMatchObject({
      status: 503,
      envelope: { message: 'host disconnected' },
    });
    expect((await broker.ask('h', 'r')).status).toBe(404);
    stub.cut();
  });
});
