// What becomes of a broker's routes when it dies, is cut off from Corrosion, or is of an older version. Against the stand-in, and
// against Corrosion itself where a `corrosion` is on the PATH.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCorrosion, type Statement } from '@coold/corrosion';
import { runChild } from '@coold/runtime';
import { corrosionConfig, findProgram, freePort, layCable, programs } from '@coold/testbed';
import { startStandIn } from '@coold/testbed/corrosion';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Broker, type Ground, startGround } from '../../test/brokers.ts';
import { everyHeartbeat } from './membership/heartbeat.ts';
import { everyRoute, upsertRoute } from './routes/route.ts';

const schemas = fileURLToPath(new URL('../../../../packaging/corrosion/', import.meta.url));
/** The shortest that there may be. */
const ttl = { BROKER_ROUTES_TTL: '5s' };

/** An agent of the real program, alone. */
async function startReal(program: string, folder: string): Promise<AsyncDisposable & { url: string }> {
  const [api, gossip] = [await freePort(), await freePort()];
  await mkdir(join(folder, 'schemas'), { recursive: true });
  for (const name of await readdir(schemas))
    if (name.endsWith('.sql')) await copyFile(join(schemas, name), join(folder, 'schemas', name));
  const config = join(folder, 'config.toml');
  await writeFile(
    config,
    corrosionConfig('127.0.0.1', [])
      .replace('/var/lib/corrosion/corrosion.db', join(folder, 'corrosion.db'))
      .replace('/etc/corrosion/schemas', join(folder, 'schemas'))
      .replace('/run/corrosion/admin.sock', join(folder, 'admin.sock'))
      .replace('127.0.0.1:8787', `127.0.0.1:${gossip}`)
      .replace('127.0.0.1:8080', `127.0.0.1:${api}`),
  );
  const child = spawn(program, ['agent', '--config', config], { cwd: folder, stdio: 'ignore' });
  const url = `http://127.0.0.1:${api}`;
  const corrosion = createCorrosion({ url, tokenFile: undefined });
  await soon(() => corrosion.query(['SELECT 1', []], () => {}, AbortSignal.timeout(5000)));
  return {
    url,
    async [Symbol.asyncDispose]() {
      const over = once(child, 'exit');
      child.kill('SIGKILL');
      await over;
    },
  };
}

const real = findProgram('corrosion', process.env['PATH'] ?? '');
const makes = [
  { make: 'the stand-in', start: (folder: string) => startStandIn(folder) },
  ...(real === undefined ? [] : [{ make: 'Corrosion', start: (folder: string) => startReal(real, folder) }]),
];

const notConnected = (hostId: string) => ({
  status: 404,
  body: { reason: 'host_not_connected', message: 'host not connected', host_id: hostId },
});
const isDeath = ({ msg }: { msg?: string }) => msg?.startsWith('a broker is dead') === true;

describe.each(makes)('three brokers beside $make', ({ start }) => {
  let ground: Ground;
  let b1: Broker;
  let b2: Broker;
  let b3: Broker;
  beforeAll(async () => {
    ground = await startGround(start);
    // The clock of one is an hour behind: it tells brokers nothing.
    const clock = join(ground.folder, 'hour-behind.mjs');
    await writeFile(clock, 'const now = Date.now; Date.now = () => now() - 3_600_000;');
    [b1, b2, b3] = await Promise.all([
      ground.start('b1', ttl),
      ground.start('b2', { ...ttl, NODE_OPTIONS: `--import=${clock}` }),
      ground.start('b3', ttl),
    ]);
  }, 180_000);
  afterAll(() => ground[Symbol.asyncDispose]());

  const reaches = (broker: Broker, hostId: string, requestId: string) =>
    soon(async () => expect((await broker.dispatch(hostId, requestId)).status).toBe(200));
  const rowsOf = async (statement: Statement, brokerId: string) => {
    const rows: unknown[][] = [];
    const corrosion = createCorrosion({ url: ground.corrosionUrl, tokenFile: undefined });
    await corrosion.query(statement, values => rows.push(values), AbortSignal.timeout(10_000));
    return rows.filter(values => values.includes(brokerId));
  };

  it('take the killed one for dead: its hosts are not connected, the others are, and an operator sees it', async () => {
    await Promise.all([b1.host('h1'), b2.host('h2'), b3.host('h3')]);
    await Promise.all([reaches(b1, 'h3', 'k-1'), reaches(b2, 'h3', 'k-2'), reaches(b1, 'h2', 'k-3')]);
    b3.program.signal('SIGKILL');
    await b3.program.exited;
    for (const broker of [b1, b2])
      await soon(async () => expect(await broker.dispatch('h3', 'dead')).toMatchObject(notConnected('h3')));
    expect((await b1.dispatch('h2', 'alive')).status).toBe(200);
    expect((await b2.dispatch('h1', 'alive')).status).toBe(200);

    expect(await b1.program.logged(isDeath)).toMatchObject({ level: 'warn', broker_id: 'b3', routes: 1 });
    const metrics = await b1.metrics();
    expect(metrics).toContain('broker_others{state="dead"} 1');
    expect(metrics).toContain('broker_others{state="alive"} 1');
    expect(metrics).toContain('broker_routes{state="lapsed"} 1');
    const env = { PATH: process.env['PATH'] ?? '', BROKER_UNIX_SOCKET_PATH: b1.socketPath };
    const { stdout } = await runChild(process.execPath, [programs.broker, 'status'], {
      timeoutMs: 60_000,
      env,
    });
    expect(stdout).toMatch(
      new RegExp(`^PROBLEM: broker b3 at ${b3.address} is dead: .*; 1 routes to it are ignored$`, 'm'),
    );
    expect(stdout).toMatch(/brokers +1 others alive, 1 dead; own heartbeat/);
    expect(stdout).toMatch(/^ {2}b3 {2}\S+, 1 hosts, dead: its heartbeat has not changed for \d+ s$/m);
    expect(await b1.ask('GET', '/v1/streams?all=1')).toMatchObject({
      status: 200,
      body: { complete: true, brokers: [{}, { broker_id: 'b3', state: 'dead' }, { broker_id: 'b2' }] },
    });
  }, 120_000);

  it('find its hosts at once when it is back', async () => {
    b3 = await ground.start('b3', ttl);
    await b3.host('h3');
    await soon(async () => expect((await b1.dispatch('h3', 'back')).status).toBe(200), { timeout: 4000 });
    expect(b1.program.lines.filter(isDeath)).toHaveLength(1);
    await b1.program.logged(
      ({ msg, broker_id }) => msg === 'a broker that was dead is back' && broker_id === 'b3',
    );
    await soon(async () => expect(await b1.metrics()).toContain('broker_others{state="dead"} 0'));
  }, 120_000);

  it('ignore a broker that is cut off from Corrosion, which goes on serving; all recover as soon as it is back', async () => {
    await using cable = await layCable({
      host: '127.0.0.1',
      port: Number(new URL(ground.corrosionUrl).port),
    });
    const b4 = await ground.start('b4', {
      ...ttl,
      BROKER_ROUTES_CORROSION_URL: `http://127.0.0.1:${cable.port}`,
    });
    await b4.host('h4');
    await Promise.all([reaches(b1, 'h4', 'c-1'), reaches(b4, 'h1', 'c-2')]);
    cable.cut();
    await soon(async () => expect(await b1.dispatch('h4', 'cut')).toMatchObject(notConnected('h4')));
    expect((await b4.dispatch('h4', 'own')).status).toBe(200);
    expect((await b4.dispatch('h1', 'others')).status, 'it takes none for dead by its own silence').toBe(200);
    expect(await b4.metrics()).toContain('broker_others{state="dead"} 0');
    await soon(async () => {
      const { problems } = JSON.parse(
        (
          await runChild(process.execPath, [programs.broker, 'status', '--json'], {
            timeoutMs: 60_000,
            env: { PATH: process.env['PATH'] ?? '', BROKER_UNIX_SOCKET_PATH: b4.socketPath },
          })
        ).stdout,
      );
      expect(problems).toContainEqual(
        expect.stringMatching(/^the heartbeat of this broker was last written/),
      );
    });
    cable.heal();
    await reaches(b1, 'h4', 'healed');
    expect(b4.program.lines.filter(isDeath)).toEqual([]);
    b4.program.signal('SIGTERM');
    await b4.program.exited;
    await soon(async () => expect(await rowsOf(everyHeartbeat, 'b4')).toEqual([]));
  }, 180_000);

  it('use the routes of one of an older version, which has no heartbeat, and tell that it has none', async () => {
    const corrosion = createCorrosion({ url: ground.corrosionUrl, tokenFile: undefined });
    // As an older broker writes it; nothing answers there.
    const address = `127.0.0.1:${await freePort()}`;
    const row = upsertRoute({ hostId: 'h-old', brokerId: 'old', address, connectedAt: Date.now() });
    await corrosion.execute([row], AbortSignal.timeout(10_000));
    const held = {
      status: 503,
      body: { message: expect.stringContaining('host h-old is connected to broker old') },
    };
    await soon(async () => expect(await b1.dispatch('h-old', 'old')).toMatchObject(held));
    // Longer than any broker may be silent: seen by a heartbeat that has moved that often.
    const beats = new Set<unknown>();
    await soon(
      async () => {
        beats.add((await rowsOf(everyHeartbeat, 'b1'))[0]?.[2]);
        expect(beats.size).toBeGreaterThan(8);
      },
      { timeout: 60_000 },
    );
    expect(await b1.dispatch('h-old', 'old-2')).toMatchObject(held);
    expect(await b1.metrics()).toContain('broker_others{state="without_heartbeat"} 1');
  }, 120_000);

  it('remove the rows of one that stays dead', async () => {
    b3.program.signal('SIGKILL');
    await b3.program.exited;
    await soon(async () => expect(await b1.metrics()).toContain('broker_routes{state="lapsed"} 1'));
    expect(await rowsOf(everyRoute, 'b3')).toHaveLength(1);
    await soon(
      async () => {
        expect(await rowsOf(everyHeartbeat, 'b3')).toEqual([]);
        expect(await rowsOf(everyRoute, 'b3')).toEqual([]);
      },
      { timeout: 150_000, interval: 1000 },
    );
    const removals = [b1, b2].flatMap(({ program }) =>
      program.lines.filter(({ msg }) => msg === 'rows of a broker that has been dead for long are removed'),
    );
    expect(removals).toMatchObject([{ broker_id: 'b3' }]);
    expect(await rowsOf(everyRoute, 'old'), 'what has no heartbeat stays').toHaveLength(1);
    await soon(async () => expect(await b1.metrics()).toContain('broker_others{state="dead"} 0'));
  }, 200_000);
});
