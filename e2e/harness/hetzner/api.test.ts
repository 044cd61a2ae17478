import { afterEach, expect, test } from 'vitest';
import { createHetznerApi, type HetznerApi, type HetznerApiOptions, type NewServer } from './api.ts';
import { type FakeApi, type FakeApiOptions, startFakeApi } from './fake-api.ts';

const token = 'token-of-the-test';
const pace = {
  requestMs: 300,
  patienceMs: 2000,
  backoff: { firstMs: 5, maxMs: 20 },
  pollMs: 5,
  actionMs: 1000,
};
let opened: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(opened.map(close => close()));
  opened = [];
});

async function start(
  options: FakeApiOptions = {},
  clientOptions: Partial<HetznerApiOptions> = {},
): Promise<{ fake: FakeApi; api: HetznerApi }> {
  const fake = await startFakeApi(options);
  const api = createHetznerApi({ token, baseUrl: fake.baseUrl, pace, ...clientOptions });
  opened.push(api.close, fake.close);
  return { fake, api };
}

const publicKey = (n: number) => `ssh-ed25519 ${Buffer.from(`key ${n}`).toString('base64')} comment`;

async function order(api: HetznerApi, name: string): Promise<NewServer> {
  const { id } = await api.createSshKey({ name, publicKey: publicKey(1), labels: { run: '1' } });
  return {
    name,
    placement: { serverType: 'small', location: undefined },
    image: 'debian-12',
    sshKey: id,
    labels: { run: '1' },
    userData: '',
  };
}

const calls = (fake: FakeApi, method: string) =>
  fake.requests.filter(request => request.method === method).map(({ path }) => path);

test('creates, powers off and on, and deletes a server, and resolves when each has really happened', async () => {
  const { fake, api } = await start();
  const server = await api.createServer(await order(api, 'a'));
  expect(server).toMatchObject({ name: 'a', status: 'running', labels: { run: '1' } });
  expect(server.address).toMatch(/^192\.0\.2\./);
  await api.powerOff(server.id);
  expect(fake.servers.get(server.id)?.status).toBe('off');
  await api.powerOn(server.id);
  expect(fake.servers.get(server.id)?.status).toBe('running');
  await api.deleteServer(server.id);
  expect(fake.servers.size).toBe(0);
  await api.deleteServer(server.id);
});

test('reads lists to their last page', async () => {
  const { fake, api } = await start({ pageSize: 3 });
  for (let n = 0; n < 8; n += 1)
    await api.createSshKey({
      name: `key${n}`,
      publicKey: publicKey(n),
      labels: { mine: n === 5 ? '0' : '1' },
    });
  const keys = await api.sshKeys({ labels: { mine: '1' } });
  expect(keys.map(({ name }) => name)).toEqual(['key0', 'key1', 'key2', 'key3', 'key4', 'key6', 'key7']);
  expect(calls(fake, 'GET')).toHaveLength(3);
});

test('throws the reason of a failed action', async () => {
  const create = () => Promise.reject(new Error('out of hosts'));
  const { api } = await start({ machines: { create } });
  await expect(api.createServer(await order(api, 'a'))).rejects.toThrow(
    'create_server of a failed: out of hosts (action_failed)',
  );
});

test('stops waiting for a server that never runs', async () => {
  const { api } = await start({ neverRuns: /./ }, { pace: { ...pace, actionMs: 60 } });
  await expect(api.createServer(await order(api, 'a'))).rejects.toThrow('waited 60 ms for a to be running');
});

test('finds a server whose creation got no answer, and does not create a second one', async () => {
  const { fake, api } = await start();
  const wanted = await order(api, 'a');
  fake.disturb({ match: /^POST .servers$/, times: 1, answer: 'hang-up', after: true });
  const server = await api.createServer(wanted);
  expect([...fake.servers.keys()]).toEqual([server.id]);
});

test('does not take over a server of another owner with the same name', async () => {
  const { fake, api } = await start();
  const wanted = await order(api, 'a');
  await api.createServer({ ...wanted, labels: { run: '2' } });
  await expect(api.createServer(wanted)).rejects.toThrow('409 uniqueness_error');
  expect(fake.servers.size).toBe(1);
});
