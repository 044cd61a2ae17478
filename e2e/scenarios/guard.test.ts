// What is denied by the kernel alone, on two hosts of different systems.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Command, operator } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost } from '../harness/fleet.ts';
import { addressOf, fetched, serve } from '../harness/pages.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const again = ['--restart', 'always'];

let provider: Provider | undefined;
let fleet: Fleet;
/** Debian 13, whose netavark uses nftables; central. */
let newer: FleetHost;
/** Debian 12, whose netavark uses iptables. */
let older: FleetHost;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  const systems = [
    { name: 'newer', system: 'debian-13' },
    { name: 'older', system: 'debian-12' },
  ] as const;
  fleet = await createFleet(ground, systems, ['default', 'alpha']);
  const [first, second] = fleet.hosts;
  if (first === undefined || second === undefined) throw new Error('two hosts were asked for');
  [newer, older] = [first, second];
  for (const host of fleet.hosts) {
    await serve(host, 'web', 'coolify-default-mesh', { args: again });
    await serve(host, 'client', 'coolify-default-mesh', { args: again });
    await serve(host, 'other', 'coolify-alpha-mesh', { args: again });
    await serve(host, 'plain', 'podman', { args: again });
  }
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));

const pairs = () =>
  [
    [newer, older],
    [older, newer],
  ] as const;

async function call(host: FleetHost, command: Command): Promise<unknown> {
  const answer = await operator().call(host, command);
  if (!answer.ok) throw new Error(`${command.type} on ${host.name}: ${answer.code} ${answer.message}`);
  return answer.data;
}

const page = async (from: FleetHost, container: string, to: FleetHost, name: string) =>
  await fetched(from, container, `http://${await addressOf(to, name)}/`);

test('one rule, on the host of its destination, opens a flow across hosts of either system, un-NATed', async () => {
  for (const [from, to] of pairs()) {
    const [src, dst] = [await addressOf(from, 'client'), await addressOf(to, 'web')];
    expect(await page(from, 'client', to, 'web'), `${from.name} before`).toBe('');
    const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
    const { id } = (await call(to, rule)) as { id: string };
    expect(await page(from, 'client', to, 'web'), `from ${from.name}`).toBe('web');
    expect(await page(from, 'other', to, 'web'), `another container of ${from.name}`).toBe('');
    await call(to, { type: 'firewall.revoke', id });
    expect(await page(from, 'client', to, 'web'), `${from.name} after`).toBe('');
  }
}, 120_000);

test('one rule, on the host of both, opens a flow within a bridge and between two', async () => {
  for (const host of fleet.hosts)
    for (const [from, to] of [
      ['client', 'web'],
      ['other', 'web'],
    ] as const) {
      const [src, dst] = [await addressOf(host, from), await addressOf(host, to)];
      expect(await page(host, from, host, to), `${host.name} before`).toBe('');
      const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
      const { id } = (await call(host, rule)) as { id: string };
      expect(await page(host, from, host, to), `${from} on ${host.name}`).toBe('web');
      await call(host, { type: 'firewall.revoke', id });
      expect(await page(host, from, host, to), `${host.name} after`).toBe('');
    }
}, 120_000);

test('containers of Podman’s default network meet the deny, and reach the world', async () => {
  for (const [from, to] of pairs()) {
    expect(await page(from, 'plain', from, 'web'), `${from.name}, own`).toBe('');
    expect(await page(from, 'plain', to, 'web'), `${from.name}, of the other`).toBe('');
    await expectExec(to.host, [
      'podman',
      'run',
      '--detach',
      '--name',
      'published',
      '--publish',
      '8088:80',
      ...['busybox', 'sh', '-c', 'mkdir /www; echo published >/www/index.html; exec httpd -f -h /www'],
    ]);
    const out = `http://${to.host.address}:8088/`;
    expect(await fetched(from, 'plain', out)).toBe('published');
    expect(await fetched(from, 'client', out)).toBe('published');
    await expectExec(to.host, ['podman', 'rm', '--force', '--time', '0', 'published']);
  }
}, 120_000);

test('the underlay reaches neither REST, nor DNS, nor a container', async () => {
  for (const [from, to] of pairs()) {
    const { gateway = '' } = to.namespaces['default'] ?? {};
    const web = await addressOf(to, 'web');
    const status = async (url: string, ...args: string[]) =>
      (await from.host.exec(['curl', '-s', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}', ...args, url]))
        .stdout;
    expect(await status(`http://${to.mgmtIp}:8443/healthz`), 'by the mesh').toBe('200');
    const around = [`${to.mgmtIp}/32`, `${gateway}/32`, `${web}/32`];
    for (const network of around)
      await expectExec(from.host, [
        'ip',
        'route',
        'add',
        network,
        'via',
        to.host.address,
        'metric',
        '0',
        'table',
        '77',
      ]);
    await expectExec(from.host, ['ip', 'rule', 'add', 'priority', '10', 'table', '77']);
    try {
      expect(await status(`http://${to.mgmtIp}:8443/healthz`), 'REST').toBe('000');
      expect(await status(`http://${web}/`), 'a container').toBe('000');
      const dug = await from.host.exec([
        'dig',
        '+time=1',
        '+tries=1',
        `@${gateway}`,
        'coolify.internal',
        'SOA',
      ]);
      expect(dug.code, 'DNS').not.toBe(0);
    } finally {
      await expectExec(from.host, ['ip', 'rule', 'del', 'priority', '10']);
      await expectExec(from.host, ['ip', 'route', 'flush', 'table', '77']);
    }
    expect(await status(`http://${to.mgmtIp}:8443/healthz`), 'by the mesh again').toBe('200');
  }
}, 120_000);

test('containers do not reach the REST API of their host or another', async () => {
  for (const [from, to] of pairs())
    for (const host of [from, to])
      expect(await fetched(from, 'client', `http://${host.mgmtIp}:8443/healthz`)).toBe('');
}, 60_000);

test('nothing passes at boot without coold, nor while it is stopped and networks come and go', async () => {
  for (const { host } of fleet.hosts) {
    await expectExec(host, ['systemctl', 'disable', '--quiet', 'coold.service']);
    await host.reboot();
  }
  for (const host of fleet.hosts) {
    for (const name of ['web', 'client', 'other', 'plain'])
      await eventually(`${name} to run again`, async () => (await addressOf(host, name)) || undefined, {
        timeoutMs: 60_000,
      });
    expect((await host.host.exec(['systemctl', 'is-active', 'coold.service'])).stdout.trim()).not.toBe(
      'active',
    );
    // More networks, each of which netavark puts on top of FORWARD.
    await expectExec(host.host, ['podman', 'network', 'create', 'passing']);
    await serve(host, 'passing', 'passing');
    const tried = await Promise.all([
      page(host, 'client', host, 'web'),
      page(host, 'other', host, 'web'),
      page(host, 'plain', host, 'web'),
      page(host, 'passing', host, 'other'),
    ]);
    expect(tried, host.name).toEqual(['', '', '', '']);
    await expectExec(host.host, ['podman', 'rm', '--force', '--time', '0', 'passing']);
  }
  for (const [from, to] of pairs()) expect(await page(from, 'client', to, 'web')).toBe('');
  for (const { host } of fleet.hosts)
    await expectExec(host, ['systemctl', 'enable', '--quiet', '--now', 'coold.service']);
  await fleet.allConnected(60_000);
}, 240_000);
