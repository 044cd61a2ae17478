import { afterEach, expect, test } from 'vitest';
import { createHetznerApi, type HetznerApi, type HetznerApiOptions, type NewServer } from './api.ts';
import { type FakeApi, type FakeApiOptions, startFakeApi } from './fake-api.ts';
import { untilNextRequest } from './transport.ts';

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

test('a server is made, switched off and on, and deleted, each when it has really happened', async () => {
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

test('the token is in the header of every request, and in no error', async () => {
  const { fake } = await start();
  const api = createHetznerApi({ token: 'wrong-secret', baseUrl: fake.baseUrl, pace });
  opened.push(api.close);
  const failure = await api.servers({ run: '1' }).catch((error: unknown) => error);
  expect(String(failure)).toContain('401 unauthorized: unable to authenticate');
  expect(`${failure} ${JSON.stringify(failure)} ${(failure as Error).stack}`).not.toContain('wrong-secret');
  expect(fake.requests.map(({ authorization }) => authorization)).toEqual(['Bearer wrong-secret']);
});

test('lists are read to their last page', async () => {
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

test.each([
  ['429', { status: 429, code: 'rate_limit_exceeded' }],
  ['423', { status: 423, code: 'locked' }],
  ['409 conflict', { status: 409, code: 'conflict' }],
  ['503', { status: 503, code: 'unavailable' }],
  ['a proxy', 'garbage'],
  ['a lost connection', 'hang-up'],
  ['silence', 'silence'],
] as const)('%s is tried again', async (_, answer) => {
  const { fake, api } = await start();
  fake.disturb({ match: /^GET/, times: 2, answer });
  expect(await api.servers({ run: '1' })).toEqual([]);
  expect(calls(fake, 'GET')).toHaveLength(3);
});

test.each([
  [403, 'forbidden'],
  [409, 'uniqueness_error'],
  [422, 'invalid_input'],
])('%i %s is final', async (status, code) => {
  const { fake, api } = await start();
  fake.disturb({ match: /./, times: 9, answer: { status, code } });
  await expect(api.servers({ run: '1' })).rejects.toThrow(`${status} ${code}: said the test`);
  expect(fake.requests).toHaveLength(1);
});

test('a rate limit is waited for as long as the API says', async () => {
  const { fake, api } = await start();
  const headers = { 'retry-after': '1' };
  fake.disturb({ match: /./, times: 1, answer: { status: 429, code: 'rate_limit_exceeded', headers } });
  const started = performance.now();
  await api.servers({ run: '1' });
  expect(performance.now() - started).toBeGreaterThan(990);
});

test('a rate limit that lasts longer than our patience is told at once', async () => {
  const { fake, api } = await start();
  const headers = { 'ratelimit-reset': String(Math.floor(Date.now() / 1000) + 3600) };
  fake.disturb({ match: /./, times: 9, answer: { status: 429, code: 'rate_limit_exceeded', headers } });
  const started = performance.now();
  await expect(api.servers({ run: '1' })).rejects.toThrow('429 rate_limit_exceeded');
  expect(performance.now() - started).toBeLessThan(500);
});

test('the budget comes back bit by bit', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const reset = (seconds: number) => String(now / 1000 + seconds);
  expect(untilNextRequest({ 'ratelimit-limit': '3600', 'ratelimit-reset': reset(3600) }, now)).toBe(1000);
  expect(untilNextRequest({ 'ratelimit-reset': reset(7) }, now)).toBe(7000);
  expect(untilNextRequest({ 'ratelimit-reset': reset(-7) }, now)).toBe(0);
  expect(untilNextRequest({ 'retry-after': '3', 'ratelimit-reset': reset(9) }, now)).toBe(3000);
  expect(untilNextRequest({}, now)).toBe(0);
  // Told by a clock that is an hour ahead of ours.
  const ahead = { date: 'Thu, 01 Jan 2026 01:00:00 GMT', 'ratelimit-reset': reset(3605) };
  expect(untilNextRequest(ahead, now)).toBe(5000);
});

test('what stays broken is given up, with what was last said', async () => {
  const { fake, api } = await start({}, { pace: { ...pace, patienceMs: 100 } });
  fake.disturb({ match: /./, times: 999, answer: { status: 503, code: 'unavailable' } });
  await expect(api.servers({ run: '1' })).rejects.toThrow(/503 unavailable.*given up after \d+ tries/);
});

test('an action that fails is an error with its reason', async () => {
  const create = () => Promise.reject(new Error('out of hosts'));
  const { api } = await start({ machines: { create } });
  await expect(api.createServer(await order(api, 'a'))).rejects.toThrow(
    'create_server of a failed: out of hosts (action_failed)',
  );
});

test('a server that never runs is waited for only so long', async () => {
  const { api } = await start({ neverRuns: /./ }, { pace: { ...pace, actionMs: 60 } });
  await expect(api.createServer(await order(api, 'a'))).rejects.toThrow('waited 60 ms for a to be running');
});

test('a server whose making was answered into the void is found, not made twice', async () => {
  const { fake, api } = await start();
  const wanted = await order(api, 'a');
  fake.disturb({ match: /^POST .servers$/, times: 1, answer: 'hang-up', after: true });
  const server = await api.createServer(wanted);
  expect([...fake.servers.keys()]).toEqual([server.id]);
});

test("a name that is somebody else's is not taken over", async () => {
  const { fake, api } = await start();
  const wanted = await order(api, 'a');
  await api.createServer({ ...wanted, labels: { run: '2' } });
  await expect(api.createServer(wanted)).rejects.toThrow('409 uniqueness_error');
  expect(fake.servers.size).toBe(1);
});

test('a run that is over sends nothing more and stops waiting', async () => {
  const over = new AbortController();
  const { fake, api } = await start({}, { signal: over.signal, pace: { ...pace, requestMs: 60_000 } });
  fake.disturb({ match: /./, times: 9, answer: 'silence' });
  const waiting = api.servers({ run: '1' });
  setTimeout(() => over.abort(), 20);
  await expect(waiting).rejects.toThrow('the run is over');
  await expect(api.servers({ run: '1' })).rejects.toThrow('the run is over');
});
