// Tokens that one broker's lane has revoked, at the other brokers; hosts are stubs, since only tokens are asked for here.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { connectStubHost, type StubHost } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Broker, type Ground, startGround } from '../../test/brokers.ts';
import { upsertRoute } from './routes/route.ts';

let ground: Ground;
let b1: Broker;
let b2: Broker;
let b3: Broker;

const fileOf = (id: string) => join(ground.folder, `${id}.revoked`);
async function startWithFile(id: string): Promise<Broker> {
  return await ground.start(id, { BROKER_REVOKED_FILE: fileOf(id) });
}

beforeAll(async () => {
  ground = await startGround();
  for (const id of ['b1', 'b2', 'b4']) await writeFile(fileOf(id), '# ours\n', { mode: 0o640 });
  // The third keeps no file.
  [b1, b2, b3] = await Promise.all([startWithFile('b1'), startWithFile('b2'), ground.start('b3')]);
  // Only this one has hosts: of the others it hears as they ask.
  await b2.host('resident');
}, 120_000);
afterAll(() => ground[Symbol.asyncDispose]());

const idOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;

const connect = (broker: Broker, token: string): StubHost => connectStubHost({ address: broker.grpc, token });

/** Whether a broker takes a host with this token in. */
async function takes(broker: Broker, token: string): Promise<boolean> {
  const host = connect(broker, token);
  const taken = await host.accepted.then(
    () => true,
    () => false,
  );
  host.cut();
  return taken;
}

const untilRefused = async (broker: Broker, token: string) =>
  await soon(async () => expect(await takes(broker, token), broker.id).toBe(false));
const untilTaken = async (broker: Broker, token: string) =>
  await soon(async () => expect(await takes(broker, token), broker.id).toBe(true));

it('a token that is revoked at one broker loses its stream at another, and is refused by all', async () => {
  const token = await ground.token('h');
  const host = connect(b2, token);
  await host.accepted;
  expect(await b1.ask('POST', '/v1/tokens/revoke', { jti: idOf(token) })).toMatchObject({ status: 200 });
  expect(await host.ended).toMatchObject({ code: status.UNAUTHENTICATED, details: 'token is revoked' });
  for (const broker of [b1, b2, b3]) await untilRefused(broker, token);
  await soon(async () => expect(await readFile(fileOf('b2'), 'utf8')).toBe(`# ours\njti ${idOf(token)}\n`));
  expect((await b2.ask('GET', '/v1/tokens/revoke')).body).toEqual([{ jti: idOf(token) }]);
});

it('a broker that was down learns of it when it is back, and keeps it', async () => {
  const b4 = await startWithFile('b4');
  const [token, kept] = [await ground.token('h'), await ground.token('h')];
  await b1.ask('POST', '/v1/tokens/revoke', { jti: idOf(kept) });
  await untilRefused(b4, kept);
  await soon(async () => expect(await readFile(fileOf('b4'), 'utf8')).toContain(idOf(kept)));
  b4.program.signal('SIGKILL');
  await b4.program.exited;
  await b1.ask('POST', '/v1/tokens/revoke', { jti: idOf(token) });
  const again = await startWithFile('b4');
  expect(await takes(again, kept), 'from its first moment').toBe(false);
  await untilRefused(again, token);
});

it('what is taken back at one broker is taken back at all, but not what people wrote into a file', async () => {
  const token = await ground.token('h');
  const jti = idOf(token);
  await b1.ask('POST', '/v1/tokens/revoke', { jti });
  for (const broker of [b2, b3]) await untilRefused(broker, token);
  expect((await b2.ask('DELETE', `/v1/tokens/revoke/${jti}`)).status).toBe(204);
  for (const broker of [b1, b2, b3]) await untilTaken(broker, token);
  await writeFile(fileOf('b1'), `jti ${jti} # by hand\n`);
  await untilRefused(b1, token);
  b1.program.signal('SIGHUP');
  expect(await takes(b1, token)).toBe(false);
  expect(await takes(b2, token)).toBe(true);
  // And revoked once more it counts more than what took it back.
  await b2.ask('POST', '/v1/tokens/revoke', { jti });
  await untilRefused(b3, token);
});

it('no row of Corrosion keeps a broker from hearing of them: any host can write one', async () => {
  // As it is common for certificates that name an address alone.
  const { certPath, keyPath } = await ground.authority.issue('peers');
  const corrosion = createCorrosion({ url: ground.corrosionUrl, tokenFile: undefined });
  const row = { hostId: 'x', brokerId: 'peers', address: '127.0.0.9:1', connectedAt: 1 };
  await corrosion.execute([upsertRoute(row)], AbortSignal.timeout(10_000));
  const b5 = await ground.start('b5', { BROKER_ROUTES_TLS_CERT: certPath, BROKER_ROUTES_TLS_KEY: keyPath });
  const token = await ground.token('h');
  await b1.ask('POST', '/v1/tokens/revoke', { jti: idOf(token) });
  await untilRefused(b5, token);
});
