import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createHetznerApi } from './api.ts';
import type { HetznerSettings } from './environment.ts';
import { type FakeApi, type FakeApiOptions, startFakeApi } from './fake-api.ts';
import { createHetzner, type HetznerOptions } from './hetzner.ts';
import { sweep } from './sweep.ts';

const token = 'token-of-the-test';
const pace = {
  requestMs: 2000,
  patienceMs: 20_000,
  backoff: { firstMs: 5, maxMs: 50 },
  pollMs: 20,
  actionMs: 60_000,
};

let folder: string;
let settings: HetznerSettings;
let fakes: FakeApi[];

beforeEach(() => {
  fakes = [];
});

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hetzner-test-'));
  const sshKey = join(folder, 'key');
  const made = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'of the test', '-f', sshKey]);
  expect(made.status).toBe(0);
  settings = {
    token,
    project: 'project-of-the-test',
    sshKey,
    location: undefined,
    image: 'debian-12',
    serverType: 'small',
    keepServers: false,
  };
});

afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => Promise.all(fakes.map(fake => fake.close())));

async function fakeApi(options: FakeApiOptions = {}): Promise<FakeApi> {
  const fake = await startFakeApi(options);
  fakes.push(fake);
  return fake;
}

/** An ssh client for which everything succeeds at once, for tests of the API calls. */
function agreeableSsh(): [string, ...string[]] {
  const path = join(folder, 'agreeable-ssh');
  // The script reads the mark from the command line, and prints what is-system-running and similar commands would.
  const script = `#!/bin/sh
for line; do :; done
case $line in *perl*) ;; *) exit 0 ;; esac
case $line in *is-system-running*) echo running ;; esac
set -- $line
mark=$(printf %s "$line" | grep -ao "$(printf '\\001')[0-9a-f]*")
printf '%s exit 0\\n' "$mark" >&2
`;
  writeFileSync(path, script, { mode: 0o755 });
  return [path];
}

const provider = (fake: FakeApi, more: Partial<HetznerOptions> = {}) =>
  createHetzner({
    settings,
    api: { baseUrl: fake.baseUrl, pace },
    ssh: { program: agreeableSsh() },
    ...more,
  });

test('labels servers and the key, and removes them when the run ends', async () => {
  const fake = await fakeApi();
  const hetzner = provider(fake);
  const hosts = await hetzner.up(['a', 'b']);
  expect(hosts.map(({ name }) => name)).toEqual(['a', 'b']);
  const [third] = await hetzner.up(['c']);
  expect(third?.address).toMatch(/^192\.0\.2\./);
  const orders = fake.requests.filter(({ method, path }) => `${method} ${path}` === 'POST /servers');
  const run = /coolify-e2e-([0-9a-f]+)-a/.exec(JSON.stringify(orders[0]?.body))?.[1];
  expect(orders[0]?.body).toEqual({
    name: `coolify-e2e-${run}-a`,
    server_type: 'small',
    image: 'debian-12',
    ssh_keys: [expect.any(Number)],
    labels: { 'coolify-e2e': '1', 'coolify-e2e-run': run },
    user_data: '#cloud-config\nhostname: a\n',
    start_after_create: true,
  });
  expect([...fake.sshKeys.values()].map(({ labels }) => labels)).toEqual([
    { 'coolify-e2e': '1', 'coolify-e2e-run': run },
  ]);
  await hetzner.close();
  await hetzner.close();
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([0, 0]);
  await expect(hetzner.up(['d'])).rejects.toThrow('closed');
});

test('removes all servers when one cannot be created', async () => {
  const create = ({ name }: { name: string }) =>
    name.endsWith('-b') ? Promise.reject(new Error('no host free')) : Promise.resolve('192.0.2.7');
  const fake = await fakeApi({ machines: { create } });
  await expect(provider(fake).up(['a', 'b', 'c'])).rejects.toThrow(
    /^create_server of coolify-e2e-[0-9a-f]+-b failed: no host free \(action_failed\)$/,
  );
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([0, 0]);
});

test('gives up a server that never runs, and leaves nothing', async () => {
  const fake = await fakeApi({ neverRuns: /-a$/ });
  const short = { baseUrl: fake.baseUrl, pace: { ...pace, actionMs: 200 } };
  await expect(provider(fake, { api: short }).up(['a', 'b'])).rejects.toThrow(
    /waited 200 ms for .*-a to be running/,
  );
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([0, 0]);
});

test(`reports ssh's last output for an unreachable host, and leaves nothing`, async () => {
  const fake = await fakeApi();
  const path = join(folder, 'failing-ssh');
  writeFileSync(path, '#!/bin/sh\necho "ssh: connect: No route to host" >&2\nexit 255\n', { mode: 0o755 });
  const hetzner = provider(fake, { ssh: { program: [path] }, pace: { reachableMs: 300, bootMs: 300 } });
  await expect(hetzner.up(['a'])).rejects.toThrow(
    /^a: not reachable at 192\.0\.2\.\d+ within 300 ms: ssh: connect: No route to host$/,
  );
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([0, 0]);
});

test('leaves nothing when it is closed while hosts come up', async () => {
  const made = Promise.withResolvers<void>();
  const create = () => {
    made.resolve();
    return Promise.resolve('192.0.2.7');
  };
  const fake = await fakeApi({ machines: { create }, neverRuns: /./ });
  const hetzner = provider(fake);
  const coming = hetzner.up(['a']).catch((error: unknown) => String(error));
  await made.promise;
  await hetzner.close();
  expect(await coming).toContain('the run is over');
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([0, 0]);
});

test('waits for the end of a rate limit', async () => {
  const fake = await fakeApi();
  const answer = { status: 429, code: 'rate_limit_exceeded' };
  for (const match of [/^POST .servers$/, /^GET .servers.\d+$/, /^DELETE/, /^POST .ssh_keys/])
    fake.disturb({ match, times: 2, answer });
  const hetzner = provider(fake);
  await hetzner.up(['a', 'b']);
  await hetzner.close();
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([0, 0]);
});

test(`uses the owner's own key, and keeps it`, async () => {
  const fake = await fakeApi();
  const api = createHetznerApi({ token, baseUrl: fake.baseUrl, pace });
  const publicKey = readFileSync(`${settings.sshKey}.pub`, 'utf8');
  const { id } = await api.createSshKey({ name: "the owner's", publicKey, labels: {} });
  const hetzner = provider(fake);
  await hetzner.up(['a']);
  expect(
    fake.requests.find(({ path, method }) => path === '/servers' && method === 'POST')?.body,
  ).toMatchObject({ ssh_keys: [id] });
  await hetzner.close();
  expect([...fake.sshKeys.keys()]).toEqual([id]);
  await api.close();
});

test('tries another location when a type is out of stock', async () => {
  const price = (location: string, net: string) => ({ location, price_hourly: { net, gross: net } });
  const prices = [price('one', '0.1'), price('two', '0.2')];
  const architecture = process.arch === 'arm64' ? 'arm' : 'x86';
  const fake = await fakeApi({ serverTypes: [{ name: 'medium', architecture, memory: 8, prices }] });
  fake.disturb({ match: /^POST .servers$/, times: 1, answer: { status: 412, code: 'resource_unavailable' } });
  const hetzner = provider(fake, { settings: { ...settings, serverType: undefined } });
  await hetzner.up(['a']);
  const bodies = fake.requests.filter(({ path, method }) => path === '/servers' && method === 'POST');
  expect(bodies.map(({ body }) => body)).toMatchObject([
    { server_type: 'medium', location: 'one' },
    { server_type: 'medium', location: 'two' },
  ]);
  await hetzner.close();
  const nowhere = provider(fake, { settings: { ...settings, serverType: undefined, location: 'moon' } });
  await expect(nowhere.up(['a'])).rejects.toThrow('no server type that is enough is sold in moon');
});

test('names what could not be deleted', async () => {
  const fake = await fakeApi();
  const hetzner = provider(fake);
  await hetzner.up(['a', 'b']);
  fake.disturb({ match: /^DELETE .servers/, times: 1, answer: { status: 403, code: 'protected' } });
  await expect(hetzner.close()).rejects.toThrow(
    /^left at Hetzner.*: server coolify-e2e-\w+-[ab]: .*403 protected/,
  );
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([1, 0]);
});

test('keeps servers on request, and prints how to reach them', async () => {
  const fake = await fakeApi();
  const said: string[] = [];
  const hetzner = provider(fake, {
    settings: { ...settings, keepServers: true },
    say: line => said.push(line),
  });
  const [a] = await hetzner.up(['a']);
  await hetzner.close();
  expect([fake.servers.size, fake.sshKeys.size]).toEqual([1, 1]);
  expect(said.join('\n')).toContain(`ssh -i '${settings.sshKey}'`);
  expect(said.join('\n')).toContain(`root@${a?.address}`);
});

test('the sweeper lists what it would delete, deletes on confirmation, and leaves other resources', async () => {
  const fake = await fakeApi({ pageSize: 2 });
  const hetzner = provider(fake, { settings: { ...settings, keepServers: true }, say: () => {} });
  await hetzner.up(['a', 'b', 'c']);
  await hetzner.close();
  fake.servers.set(1, {
    id: 1,
    name: 'production',
    status: 'running',
    labels: {},
    address: null,
    lockedBy: undefined,
  });
  const exported = { HETZNER_TOKEN: token, HETZNER_PROJECT: 'p', SSH_KEY: settings.sshKey };
  const swept = async (more: NodeJS.ProcessEnv) => {
    const said: string[] = [];
    const api = { baseUrl: fake.baseUrl, pace };
    const code = await sweep({
      exported: { ...exported, ...more },
      root: folder,
      api,
      say: line => said.push(line),
    });
    return { code, said: said.map(line => line.replaceAll(/ \(\d+\)|-[0-9a-f]{8}/g, '')).sort() };
  };
  const expected = ['SSH key coolify-e2e', ...['a', 'b', 'c'].map(name => `server coolify-e2e-${name}`)];
  expect(await swept({})).toEqual({
    code: 0,
    said: ['CONFIRM_SWEEP=1 does it', ...expected.map(what => `would delete ${what}`)].sort(),
  });
  expect(fake.servers.size).toBe(4);
  expect(await swept({ CONFIRM_SWEEP: '1' })).toEqual({
    code: 0,
    said: expected.map(what => `deleted ${what}`).sort(),
  });
  expect([...fake.servers.keys(), ...fake.sshKeys.keys()]).toEqual([1]);
  expect(await swept({})).toEqual({ code: 0, said: ['nothing of ours in p'] });
  expect((await swept({ HETZNER_TOKEN: undefined })).code).toBe(1);
});

test('makes no request at its end when it made none before', async () => {
  const fake = await fakeApi();
  const hetzner = provider(fake);
  await expect(hetzner.up(['NO NAME'])).rejects.toThrow('DNS label');
  await hetzner.close();
  expect(fake.requests).toEqual([]);
});
