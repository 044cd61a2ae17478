// Hosts that `coolify init` has set up, end to end, on each Debian: with a stand-in written from its published
// behaviour, or with the real program if COOLIFY_BIN names one.
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest';
import { startGitServer } from '../harness/build-lane.ts';
import { type CoolifyCli, type CoolifyMesh, createCoolifyCli, generationOf } from '../harness/coolify-cli.ts';
import { letIn, makeSshKey, sshKeyPath } from '../harness/coolify-ground.ts';
import { readBack } from '../harness/coolify-init.ts';
import { eventually } from '../harness/eventually.ts';
import { type FleetHost, printJournals } from '../harness/fleet.ts';
import { busyboxImage, loadBusyboxImage } from '../harness/images.ts';
import { fetched } from '../harness/pages.ts';
import { createPlayedCli } from '../harness/played-cli.ts';
import { expectExec, type Host, type Provider } from '../harness/provider.ts';
import { pushBusybox, startRegistry } from '../harness/registry.ts';
import { createReleaseServer, type ReleaseServer } from '../harness/release-server.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const stepMs = 10 * 60_000;
const namespaces = ['default', 'alpha'];

let provider: Provider | undefined;
let operator: Host;
let bare: Host[];
let releases: ReleaseServer;
let cli: CoolifyCli;
let broker: 'broker' | 'scheduler';
let mesh: CoolifyMesh;
/** Debian 12, whose netavark uses iptables; central. */
let a: FleetHost;
/** Debian 13, whose netavark uses nftables. */
let b: FleetHost;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  const [first, ...hosts] = await provider.up([
    { name: 'ops' },
    { name: 'a', system: 'debian-12' },
    { name: 'b', system: 'debian-13' },
    { name: 'c', system: 'debian-13' },
  ]);
  if (first === undefined) throw new Error('a host was asked for');
  operator = first;
  bare = hosts;
  const publicKey = await makeSshKey(operator);
  releases = await createReleaseServer(operator);
  await releases.publish('v1');
  for (const host of bare) {
    await letIn(host, publicKey);
    await releases.lead(host);
  }
  const bin = process.env['COOLIFY_BIN'];
  if (bin === undefined) [cli, broker] = [createPlayedCli(bare), 'scheduler'];
  else {
    await operator.put({ file: bin }, '/usr/local/bin/coolify', 0o755);
    const run = (args: readonly string[], timeoutMs: number) =>
      operator.exec(['coolify', ...args], { timeoutMs });
    const generation = await generationOf(run);
    [cli, broker] = [createCoolifyCli(run, generation), generation === 'apply' ? 'broker' : 'scheduler'];
  }
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => onTestFailed(() => printJournals(bare)));

const meshOf = (hosts: readonly Host[], version: string): CoolifyMesh => ({
  servers: hosts.map(({ address }) => address),
  namespaces,
  sshKey: sshKeyPath,
  version,
});
const member = async (host: Host) => await readBack(host, namespaces);
const say = (text: string) => process.stdout.write(text);

/** Starts a container like the CLI's operators: with a fixed address, restarted after a reboot. */
async function run(
  { host, namespaces }: FleetHost,
  name: string,
  namespace: string,
  last: number,
  command = '',
) {
  const { network = '', gateway = '' } = namespaces[namespace] ?? {};
  const ip = gateway.replace(/\d+$/, String(last));
  const serve = `mkdir -p /www; echo ${name} >/www/index.html; exec httpd -f -h /www`;
  await expectExec(host, [
    ...(['podman', 'run', '--detach', '--stop-timeout', '0', '--name', name, '--network', network] as const),
    ...['--ip', ip, '--dns', gateway, '--restart', 'always', busyboxImage, 'sh', '-c', command || serve],
  ]);
  return ip;
}

const name = (container: string, namespace = 'default') =>
  `http://${container}.${namespace}.coolify.internal/`;
const address: Record<string, string> = {};
const page = (from: FleetHost, client: string, server: string) =>
  fetched(from, client, `http://${address[server]}/`);

async function status({ host }: FleetHost): Promise<Record<string, unknown>> {
  const token = (await host.get('/etc/coolify/api-token')).toString().trim();
  const { mgmtIp } = await member(host);
  const url = `http://${mgmtIp}:8443/api/v1/firewall/status`;
  return JSON.parse(
    await expectExec(host, ['curl', '-fsS', '-H', `Authorization: Bearer ${token}`, url]),
  ) as Record<string, unknown>;
}

/** Calls the broker's lane on the central host; a path follows. */
const lane = ['curl', '-sS', '--max-time', '25'] as const;
const onLane = (path: string) => `http://broker${path}`;

/** Returns the hosts that have streams to the broker. */
async function connected(): Promise<string> {
  const socket = `/run/coolify/${broker}.sock`;
  const { code, stdout } = await a.host.exec([
    'curl',
    '-sS',
    '--unix-socket',
    socket,
    'http://broker/v1/streams',
  ]);
  if (code !== 0) return '';
  return (JSON.parse(stdout) as { host_id: string }[])
    .map(({ host_id: id }) => id)
    .sort()
    .join();
}

const waitFor = async <T>(what: string, ask: () => Promise<T>, expected: T) => {
  await eventually(what, async () => ((await ask().catch(() => undefined)) === expected ? true : undefined), {
    timeoutMs: 60_000,
    everyMs: 500,
  });
};

const flows = [
  { namespace: 'default', from: 'client-default', to: 'web-default', port: 80 },
  { namespace: 'alpha', from: 'client-alpha', to: 'web-alpha', port: 80 },
  { namespace: 'default', from: 'client2-default', to: 'web-default', port: 80 },
];

/** Checks flows by name across hosts, and on one bridge. */
async function expectFlowing() {
  for (const namespace of namespaces)
    await waitFor(
      `a page of namespace ${namespace} by its name`,
      () => fetched(b, `client-${namespace}`, name(`web-${namespace}`, namespace)),
      `web-${namespace}`,
    );
  expect(await page(a, 'client2-default', 'web-default')).toBe('web-default');
  // A flow that no rule allows.
  expect(await page(b, 'client-alpha', 'web-default')).toBe('');
  expect(await page(a, 'web-default', 'client-default')).toBe('');
}

async function expectEnforcing(hosts: readonly FleetHost[]) {
  for (const host of hosts)
    await waitFor(`${host.name} to enforce`, async () => (await status(host))['mode'] as string, 'enforcing');
}

test(
  'bootstrap makes two hosts that are connected and enforce',
  async () => {
    const [first, second] = bare;
    if (first === undefined || second === undefined) throw new Error('two hosts were asked for');
    mesh = meshOf([first, second], 'v1');
    say(await cli.bootstrap(mesh));
    [a, b] = [await member(first), await member(second)];
    for (const { host } of [a, b]) {
      await loadBusyboxImage(host);
      expect((await host.get('/usr/local/bin/coold.version')).toString().trim()).toBe('v1');
    }
    await waitFor('both hosts to be connected', connected, [a.mgmtIp, b.mgmtIp].sort().join());
    await expectEnforcing([a, b]);
  },
  stepMs,
);

test(
  'nothing reaches a container by default, and egress works',
  async () => {
    address['web-default'] = await run(a, 'web-default', 'default', 10);
    address['web-alpha'] = await run(a, 'web-alpha', 'alpha', 10);
    await run(a, 'client2-default', 'default', 11);
    address['client-default'] = await run(b, 'client-default', 'default', 10);
    await run(b, 'client-alpha', 'alpha', 10);
    await expectExec(operator, ['install', '-d', '/srv/www']);
    await operator.put('the world\n', '/srv/www/index.html', 0o644);
    await expectExec(operator, [
      'systemd-run',
      '--quiet',
      'busybox',
      'httpd',
      '-f',
      '-p',
      '8088',
      '-h',
      '/srv/www',
    ]);
    for (const [host, client] of [
      [b, 'client-default'],
      [a, 'client2-default'],
    ] as const) {
      await waitFor(
        `${client} to reach the world`,
        () => fetched(host, client, `http://${operator.address}:8088/`),
        'the world',
      );
      expect(await page(host, client, 'web-default'), client).toBe('');
    }
    expect(await page(b, 'client-alpha', 'web-alpha')).toBe('');
    // Its name still resolves.
    const nslookup = [
      'podman',
      'exec',
      'client-default',
      'nslookup',
      'web-default.default.coolify.internal',
    ] as const;
    await waitFor(
      'the name to resolve',
      async () => (await b.host.exec(nslookup)).stdout.includes(address['web-default'] ?? '?'),
      true,
    );
  },
  stepMs,
);

test(
  `one rule on the destination's host opens a flow, revoke closes it, and list shows the current rules`,
  async () => {
    for (const flow of flows) await cli.allow(mesh, flow);
    await expectFlowing();
    const rules = await cli.list(mesh, 'default');
    expect(rules.map(({ host, dst, port }) => ({ host, dst, port }))).toEqual(
      [1, 2].map(() => ({ host: a.host.address, dst: address['web-default'], port: 80 })),
    );
    const [flow] = flows;
    if (flow === undefined) throw new Error('there is one');
    await cli.revoke(mesh, flow);
    expect(await page(b, 'client-default', 'web-default')).toBe('');
    expect(await cli.list(mesh, 'default')).toHaveLength(1);
    await cli.allow(mesh, flow);
    await expectFlowing();
  },
  stepMs,
);

test(
  'a second set-up changes nothing',
  async () => {
    say(await cli.bootstrap(mesh));
    await waitFor('both hosts to be connected', connected, [a.mgmtIp, b.mgmtIp].sort().join());
    await expectEnforcing([a, b]);
    await expectFlowing();
    expect(await cli.list(mesh, 'default')).toHaveLength(2);
  },
  stepMs,
);

test(
  'its unit restarts and networks change: allowed flows pass, and nothing else',
  async () => {
    for (const { host } of [a, b]) {
      await expectExec(host, ['systemctl', 'restart', 'coolify-mesh-fw']);
      await expectExec(host, ['podman', 'network', 'create', 'passing']);
      await expectExec(host, ['podman', 'run', '--rm', '--network', 'passing', busyboxImage, 'true']);
      await expectExec(host, ['podman', 'network', 'rm', 'passing']);
    }
    await expectFlowing();
    await expectEnforcing([a, b]);
    expect(await fetched(b, 'client-default', `http://${operator.address}:8088/`)).toBe('the world');
  },
  stepMs,
);

test(
  'a third host joins, and the others continue',
  async () => {
    const third = bare[2];
    if (third === undefined) throw new Error('a third host was asked for');
    mesh = meshOf(bare, 'v1');
    say(await cli.extend(mesh, third.address));
    const c = await member(third);
    await loadBusyboxImage(third);
    await waitFor('three hosts to be connected', connected, [a.mgmtIp, b.mgmtIp, c.mgmtIp].sort().join());
    await expectEnforcing([a, b, c]);
    await run(c, 'client-c', 'default', 10);
    expect(await page(c, 'client-c', 'web-default')).toBe('');
    await cli.allow(mesh, { namespace: 'default', from: 'client-c', to: 'web-default', port: 80 });
    await waitFor(
      'the third host to resolve and reach',
      () => fetched(c, 'client-c', name('web-default')),
      'web-default',
    );
    await expectFlowing();
  },
  stepMs,
);

test(
  'an upgrade replaces the programs and interrupts no flow',
  async () => {
    await releases.publish('v2');
    mesh = meshOf(bare, 'v2');
    say(await cli.upgrade(mesh));
    for (const host of bare) {
      expect((await host.get('/usr/local/bin/coold.version')).toString().trim()).toBe('v2');
      expect((await host.exec(['systemctl', 'is-active', 'coold'])).stdout.trim()).toBe('active');
    }
    const all = await Promise.all(bare.map(async host => (await member(host)).mgmtIp));
    await waitFor('every host to be connected', connected, all.sort().join());
    await expectEnforcing([a, b]);
    await expectFlowing();
  },
  stepMs,
);

test(
  'after a reboot of both, everything is as before',
  async () => {
    await Promise.all([a, b].map(({ host }) => host.reboot()));
    await waitFor(
      'both hosts to be connected',
      async () => (await connected()).includes(`${a.mgmtIp},${b.mgmtIp}`),
      true,
    );
    await expectEnforcing([a, b]);
    await expectFlowing();
    expect(await fetched(b, 'client-default', `http://${operator.address}:8088/`)).toBe('the world');
    expect(await cli.list(mesh, 'default')).toHaveLength(3);
  },
  stepMs,
);

test(
  'coold status reports that such a host denies',
  async () => {
    for (const { name, host } of [a, b]) {
      const { stdout } = await host.exec(['coold', 'status']);
      expect(stdout, name).toContain('enforcing');
      expect(stdout, name).not.toMatch(/PROBLEM.*(deny|firewall|rule)/);
    }
  },
  stepMs,
);

test(
  'every host reports that it builds',
  async () => {
    const socket = `/run/coolify/${broker}.sock`;
    const curl = ['curl', '-fsS', '--unix-socket', socket, 'http://broker/v1/streams'] as const;
    // A host redials after its coold was restarted or its stream was lost.
    await eventually(
      `streams of ${bare.length} hosts that build`,
      async () => {
        const streams = JSON.parse(await expectExec(a.host, curl)) as { capabilities: string[] }[];
        const building = streams.filter(({ capabilities }) =>
          isDeepStrictEqual(capabilities.toSorted(), ['builder', 'coold']),
        );
        return building.length === bare.length && streams.length === bare.length ? true : undefined;
      },
      { timeoutMs: 60_000, everyMs: 500 },
    );
  },
  stepMs,
);

test(
  'a host that it set up builds an image, which runs there',
  async () => {
    const git = await startGitServer(operator);
    await git.repository('site', { 'dist/index.html': '<h1>hello</h1>\n' });
    await loadBusyboxImage(operator);
    const place = { ...a, name: operator.name, host: operator, mgmtIp: operator.address };
    const registry = await startRegistry(place, [place, b]);
    await pushBusybox(place, `${registry}/base/web:1`);
    // Both are on a private network. Builds reach it only if the host's owner allows it, in a drop-in beside the CLI's
    // unit.
    await b.host.put(
      `[Service]\nEnvironment=COOLD_BUILDER_ALLOW_NETS=${operator.address}/32\n`,
      '/etc/systemd/system/coold.service.d/e2e.conf',
      0o644,
    );
    await expectExec(b.host, ['systemctl', 'daemon-reload']);
    await expectExec(b.host, ['systemctl', 'restart', 'coold'], { timeoutMs: 120_000 });
    await waitFor(
      'the host that builds to be back',
      async () => (await connected()).includes(b.mgmtIp),
      true,
    );
    const image = 'localhost/cli/site:1';
    const command = {
      type: 'static_build',
      repo_url: `${git.url}/site`,
      git_ref: 'main',
      target_image: image,
      base_image: `${registry}/base/web:1`,
    };
    const order = JSON.stringify({ host_id: b.mgmtIp, request_id: 'cli-1', command });
    const socket = ['--unix-socket', `/run/coolify/${broker}.sock`];
    const json = ['-H', 'Content-Type: application/json', '-d', order];
    await expectExec(a.host, [...lane, ...socket, ...json, onLane('/v1/build/dispatch')]);
    const result = await eventually(
      'the result of the build',
      async () => {
        const url = onLane('/v1/build/result/cli-1?timeout_ms=10000');
        const { stdout } = await a.host.exec([...lane, ...socket, url], { timeoutMs: 30_000 });
        const said = JSON.parse(stdout) as { status: string; code?: number };
        return said.code === 408 ? undefined : said;
      },
      { timeoutMs: 5 * 60_000 },
    );
    expect(result).toMatchObject({ status: 'ok', registry_ref: expect.stringContaining(image) });
    const show = ['cat', '/usr/share/nginx/html/index.html'];
    expect(
      await expectExec(b.host, ['podman', 'run', '--rm', '--network', 'none', image, ...show]),
    ).toContain('<h1>hello</h1>');
  },
  stepMs,
);

test(
  'with the deny disabled, containers reach each other; enabled again, they do not',
  async () => {
    say(await cli.bootstrap({ ...mesh, isOpen: true }));
    for (const host of [a, b])
      await waitFor(
        `${host.name} to be open`,
        async () => (await status(host))['mode'] as string,
        'permissive',
      );
    for (const [from, client, server] of [
      [b, 'client-alpha', 'web-default'],
      [a, 'client2-default', 'web-alpha'],
    ] as const)
      await waitFor(`${client} to reach ${server}`, () => page(from, client, server), server);
    for (const { name, host } of [a, b]) {
      const { stdout } = await host.exec(['coold', 'status']);
      expect(stdout, name).not.toMatch(/PROBLEM.*(deny|firewall|rule)/);
    }
    expect(await cli.list(mesh, 'default')).toHaveLength(3);
    say(await cli.bootstrap(mesh));
    await waitFor(
      'both hosts to be connected',
      async () => (await connected()).includes(`${a.mgmtIp},${b.mgmtIp}`),
      true,
    );
    await expectEnforcing([a, b]);
    await expectFlowing();
    expect(await cli.list(mesh, 'default')).toHaveLength(3);
  },
  stepMs,
);
