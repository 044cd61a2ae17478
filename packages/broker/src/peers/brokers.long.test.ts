// Brokers as processes that find each other through Corrosion's stand-in; hosts are stubs, so that they can misbehave.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { HostedBuild_State } from '@coold/proto';
import { runChild } from '@coold/runtime';
import {
  builtOk,
  connectStubHost,
  createStubBuilder,
  freePort,
  programs,
  type StubHostOptions,
  startProgram,
} from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Broker, type Ground, startGround, startMs } from '../../test/brokers.ts';
import { everyRoute } from './routes/route.ts';

let ground: Ground;
beforeAll(async () => {
  ground = await startGround();
}, 60_000);
afterAll(() => ground[Symbol.asyncDispose]());

/** Until a broker knows where a host is: as soon as its dispatch is no 404. */
const known = (broker: Broker, hostId: string) =>
  soon(async () => expect((await broker.dispatch(hostId, `known-${hostId}`)).status).toBe(200));

const listing = { case: 'listContainers' as const, value: { containers: [] } };
const ok = (id: string) => ({ status: 200, body: { status: 'ok', data: [{ id }] } });

describe('three brokers', () => {
  let b1: Broker;
  let b2: Broker;
  let b3: Broker;
  beforeAll(async () => {
    [b1, b2, b3] = await Promise.all([ground.start('b1'), ground.start('b2'), ground.start('b3')]);
  }, 120_000);

  it('reach every host from each', async () => {
    await Promise.all([b1.host('h1'), b2.host('h2'), b3.host('h3')]);
    for (const broker of [b1, b2, b3])
      for (const [hostId, by] of [
        ['h1', 'b1'],
        ['h2', 'b2'],
        ['h3', 'b3'],
      ] as const) {
        await known(broker, hostId);
        expect(await broker.dispatch(hostId, `all-${broker.id}`)).toMatchObject(ok(`on-${hostId}-by-${by}`));
      }
    const metrics = await b1.metrics();
    expect(metrics).toContain('broker_routes{state="elsewhere"} 2');
    expect(metrics).toMatch(/broker_forward_duration_seconds_count\{outcome="answered"\} [4-9]/);
    expect(metrics).toMatch(/broker_forwards_taken_total\{reason="answered"\} [4-9]/);
    expect(metrics).toContain('broker_peers 2');
  });

  it('answer 404 for a host that none has', async () => {
    expect(await b1.dispatch('nobody', 'r')).toMatchObject({
      status: 404,
      body: { message: 'host not connected' },
    });
  });

  it('answer a build for a host of another broker as that broker would', async () => {
    const build = {
      type: 'static_build',
      repo_url: 'https://a/b.git',
      git_ref: 'main',
      target_image: 'localhost/a:1',
    };
    const order = { host_id: 'h2', request_id: 'b-1', command: build };
    const told = {
      status: 503,
      body: { reason: 'no_builder', message: 'host has no builder capability', stage: 'dispatch' },
    };
    expect(await b2.ask('POST', '/v1/build/dispatch', order)).toMatchObject(told);
    expect(await b1.ask('POST', '/v1/build/dispatch', order)).toMatchObject(told);
  });

  it('tell of each other in `status`', async () => {
    const { body } = await b1.ask('GET', '/v1/status');
    expect(body).toMatchObject({
      peers: {
        routes: { here: 1, elsewhere: 2 },
        followed: true,
        unwritten: 0,
        links: 2,
        taken: { answered: expect.any(Number) },
      },
    });
    const env = { PATH: process.env['PATH'] ?? '', BROKER_UNIX_SOCKET_PATH: b1.socketPath };
    const { code, stdout } = await runChild(process.execPath, [programs.broker, 'status'], {
      timeoutMs: 60_000,
      env,
    });
    expect(stdout).toMatch(/routes +2 hosts elsewhere, 1 here; 0 of dead brokers; 0 unwritten; followed\n/);
    expect(stdout).toMatch(/brokers +2 others alive, 0 dead; own heartbeat written \d+s ago\n/);
    for (const broker of [b2, b3]) expect(stdout).toContain(`${broker.id}  ${broker.address}, 1 hosts\n`);
    expect(stdout).toContain('b1  this broker, 1 hosts\n');
    expect(stdout).toMatch(/forwarded +to 2 brokers, p50 .* answered \d/);
    // The certificates of this test last a day, and are new: a share of its life is left to each, however few days that is.
    expect(stdout).toMatch(/^healthy\n/);
    expect(code, stdout).toBe(0);
  });

  it('reach a build whose host has moved where it is now', async () => {
    const token = await ground.token('builder', ['coold', 'builder']);
    const builder = createStubBuilder({ address: b1.grpc, token });
    await builder.connect();
    const build = {
      type: 'static_build',
      repo_url: 'https://a/b.git',
      git_ref: 'main',
      target_image: 'localhost/a:1',
    };
    expect((await b1.ask('POST', '/v1/build/dispatch', { request_id: 'b-2', command: build })).status).toBe(
      202,
    );
    await soon(() => expect(builder.builds.has('b-2')).toBe(true));
    builder.cut();
    await builder.connect(b2.grpc);
    const { commands } = builder;
    await soon(async () => {
      expect((await b1.ask('POST', '/v1/build/b-2/cancel')).status).toBe(204);
      expect(commands.map(({ command }) => command.case)).toContain('cancelBuild');
    });
    builder.finish('b-2', builtOk(`sha256:${'0'.repeat(64)}`));
    for (const broker of [b1, b2, b3])
      expect(await broker.ask('GET', '/v1/build/result/b-2')).toMatchObject({
        status: 200,
        body: { status: 'ok' },
      });
    builder.cut();
  });

  it('take no build from a host that comes over, for a host that makes up a nonce', async () => {
    const token = await ground.token('honest', ['coold', 'builder']);
    const honest = createStubBuilder({ address: b1.grpc, token });
    await honest.connect();
    const build = {
      type: 'static_build',
      repo_url: 'https://a/b.git',
      git_ref: 'main',
      target_image: 'localhost/a:1',
    };
    const order = { host_id: 'honest', request_id: 'b-3', command: build };
    await soon(async () => expect((await b1.ask('POST', '/v1/build/dispatch', order)).status).toBe(202));
    await soon(() => expect(honest.builds.has('b-3')).toBe(true));
    honest.cut();
    await honest.connect(b2.grpc);
    // Later than any that a broker gives out in this century, in the form of a real one.
    const nonce = `zzzzzzzz-${'0'.repeat(16)}-${'A'.repeat(22)}`;
    const liar = connectStubHost({
      address: b2.grpc,
      token: await ground.token('liar', ['coold', 'builder']),
      hello: {
        hostMgmtIp: '100.64.0.8',
        cooldVersion: '0',
        schemaMin: 1,
        schemaMax: 2,
        builderCapacity: 1,
        capabilities: ['coold', 'builder'],
        builds: [{ requestId: 'b-3', state: HostedBuild_State.RUNNING, nonce }],
      },
    });
    await liar.accepted;
    const forged = builtOk(`sha256:${'f'.repeat(64)}`);
    if (forged.case === 'build')
      liar.respond({ requestId: 'b-3', body: { case: 'build', value: { ...forged.value, nonce } } });
    const digest = `sha256:${'1'.repeat(64)}`;
    const asked = b2.ask('GET', '/v1/build/result/b-3');
    honest.finish('b-3', builtOk(digest));
    expect(await asked).toMatchObject({ status: 200, body: { status: 'ok', digest } });
    expect(honest.commands.map(({ command }) => command.case)).not.toContain('cancelBuild');
    liar.cut();
    honest.cut();
  });

  it('keep a late answer at the broker of the host, for a repeated dispatch', async () => {
    const slow = await b2.host('slow', { onCommand: () => {} });
    await soon(async () => expect((await b1.dispatch('slow', 'late')).status).toBe(504));
    slow.respond({
      requestId: 'late',
      body: { case: 'listContainers', value: { containers: [{ id: 'late' }] } },
    });
    await b2.program.logged(
      line => line['request_id'] === 'late' && String(line.msg).startsWith('answer came after'),
    );
    expect(await b1.dispatch('slow', 'late')).toMatchObject(ok('late'));
    slow.cut();
  });

  it('follow a host that moves', async () => {
    await known(b3, 'h1');
    await b2.host('h1');
    await soon(async () => expect(await b3.dispatch('h1', 'moved')).toMatchObject(ok('on-h1-by-b2')));
  });

  it('answer 504 for the hosts of one that hangs, and 503 at once when it is given up', async () => {
    const b4 = await ground.start('b4');
    await b4.host('h4');
    await known(b1, 'h4');
    b4.program.signal('SIGSTOP');
    expect(await b1.dispatch('h4', 'hung')).toMatchObject({
      status: 504,
      body: { message: 'dispatch timeout' },
    });
    const message = expect.stringMatching(
      new RegExp(`^host h4 is connected to broker b4 at ${b4.address}, which `),
    );
    await soon(async () =>
      expect(await b1.dispatch('h4', 'hung-2')).toMatchObject({ status: 503, body: { message } }),
    );
    b4.program.signal('SIGCONT');
    await soon(async () => expect((await b1.dispatch('h4', 'awake')).status).toBe(200));
    b4.program.signal('SIGTERM');
    await b4.program.exited;
    // Its rows are gone with it.
    await soon(async () => expect((await b1.dispatch('h4', 'left')).status).toBe(404));
  });

  it('answer 503 for the hosts of one that was killed, until those are connected elsewhere', async () => {
    const b5 = await ground.start('b5');
    const h6: Partial<StubHostOptions> = {
      onCommand({ requestId }, stub) {
        if (!requestId.endsWith('parked')) stub.respond({ requestId, body: listing });
      },
    };
    await Promise.all([b5.host('h5'), b5.host('h6', h6)]);
    await Promise.all([known(b1, 'h5'), known(b1, 'h6')]);
    const parked = b1.dispatch('h6', 'parked');
    await soon(async () => expect(await b5.metrics()).toContain('broker_pending{state="waiting"} 1'));
    b5.program.signal('SIGKILL');
    expect(await parked, 'what it was asked fails with it').toMatchObject({ status: 503 });
    const message = `host h5 is connected to broker b5 at ${b5.address}, which cannot be reached: connect ECONNREFUSED ${b5.address}`;
    await soon(async () =>
      expect(await b1.dispatch('h5', 'dead')).toMatchObject({ status: 503, body: { message } }),
    );
    await b2.host('h5');
    await soon(async () => expect(await b1.dispatch('h5', 'alive')).toMatchObject(ok('on-h5-by-b2')));
    // Back, it takes away what its former life has left.
    await ground.start('b5');
    const direct = createCorrosion({ url: ground.corrosionUrl, tokenFile: undefined });
    const left = async () => {
      const brokers: unknown[] = [];
      await direct.query(everyRoute, ([, brokerId]) => brokers.push(brokerId), AbortSignal.timeout(5000));
      return brokers.filter(brokerId => brokerId === 'b5');
    };
    await soon(async () => expect(await left()).toEqual([]));
  });

  it('take new certificates without a restart', async () => {
    const { certPath, keyPath } = await ground.authority.issue('renewed');
    const isRead = (line: { msg?: string }) => line.msg === 'certificates of the brokers: read again';
    await copyFile(certPath, join(ground.folder, 'b2.crt'));
    await copyFile(keyPath, join(ground.folder, 'b2.key'));
    b2.program.signal('SIGHUP');
    await b2.program.logged(isRead, startMs);
    expect((await b1.dispatch('h2', 'renewed')).status).toBe(200);
  });
});

describe('a broker', () => {
  it('does not start with a certificate for another address', async () => {
    const env = await ground.environment('wrong', { BROKER_ROUTES_ADDRESS: '127.0.0.7:1' });
    const program = startProgram('broker', { env });
    expect(await program.exited).toMatchObject({ code: 1 });
    expect(JSON.stringify(program.lines)).toContain(
      `BROKER_ROUTES_TLS_CERT=${env['BROKER_ROUTES_TLS_CERT']}: is for `,
    );
  }, 90_000);

  it('serves its own hosts while Corrosion is away, and does not report other hosts as disconnected', async () => {
    const b9 = await ground.start('b9', {
      BROKER_ROUTES_CORROSION_URL: `http://127.0.0.1:${await freePort()}`,
    });
    await b9.host('h9');
    expect((await b9.dispatch('h9', 'r')).status).toBe(200);
    expect(await b9.dispatch('h2', 'r')).toMatchObject({
      status: 503,
      body: { message: expect.stringContaining('Corrosion') },
    });
    await b9.program.logged(line => line['subscription'] === 'host_routes', startMs);
    b9.program.signal('SIGTERM');
    expect(await b9.program.exited).toMatchObject({ code: 0 });
  }, 90_000);
});
