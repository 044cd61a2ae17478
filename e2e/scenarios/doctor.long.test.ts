// Runs the doctors on each Debian: from the unpacked archive, on a healthy host, and on a host with planted faults.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createFleet, type Fleet, type FleetHost } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { builtPackage } from '../harness/product.ts';
import { expectExec, type Host, hostSystems, type Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const testMs = 5 * 60_000;

let provider: Provider | undefined;
let fleet: Fleet;
let bare: readonly Host[];

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  bare = await provider.up(hostSystems.map((system, index) => ({ name: `bare-${index}`, system })));
  fleet = await createFleet(
    ground,
    hostSystems.map((system, index) => ({ name: `host-${index}`, system })),
    ['default'],
  );
  for (const member of fleet.hosts)
    await runContainer(member.host, {
      name: 'web',
      network: 'coolify-default-mesh',
      command: ['sleep', '3600'],
    });
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));

interface Line {
  check: string;
  level: 'ok' | 'warn' | 'fail';
  found: string;
  cure?: string;
}

async function doctor(host: Host, argv: readonly [string, ...string[]] = ['coold', 'doctor']) {
  const { code, stdout, stderr } = await host.exec([...argv, '--json'], { timeoutMs: 60_000 });
  expect(stderr).toBe('');
  const { checks } = JSON.parse(stdout) as { checks: Line[] };
  const of = (level: Line['level']) =>
    checks.filter(line => line.level === level).map(({ check, found }) => `${check}: ${found}`);
  return { code, checks, fails: of('fail'), oks: of('ok') };
}

test('the doctor runs from the unpacked archive, before the installation', async () => {
  for (const host of bare) {
    await host.put({ file: await builtPackage() }, '/root/coold.tar.gz', 0o600);
    await expectExec(host, ['mkdir', '/root/coold']);
    const untar = ['tar', '-xzf', '/root/coold.tar.gz', '-C', '/root/coold', '--strip-components=1'] as const;
    await expectExec(host, [...untar], { timeoutMs: 60_000 });
    const lib = '/root/coold/lib';
    for (const program of ['coold', 'broker']) {
      const found = await doctor(host, [`${lib}/node`, `${lib}/${program}.mjs`, 'doctor']);
      expect(found).toMatchObject({ code: 0, fails: [] });
      expect(found.oks.join('\n')).toContain('is not installed');
    }
  }
}, 120_000);

test(
  'the doctor of a healthy host reports no failure, and runs every check',
  async () => {
    for (const { host, name } of fleet.hosts) {
      const { code, checks, fails, oks } = await doctor(host);
      expect(fails, name).toEqual([]);
      expect(code).toBe(0);
      expect(
        oks.filter(line => line.includes('not asked')),
        name,
      ).toEqual([]);
      const said = checks.map(({ check, found }) => `${check}: ${found}`).join('\n');
      for (const part of [
        /wg0: peer .* answered/,
        /ports: .*:53 for DNS of namespace default is coold's/,
        /ports: .*:8443 for the REST API is coold's/,
        /DNS: web asks .* and is answered/,
        /Corrosion: .* has every table/,
        /broker: .* answers/,
        /clock: the clock of this host is within 5 s of the broker's/,
        /token: the host's token is good until/,
        /coold: coold .* runs and is healthy/,
      ])
        expect(said, name).toMatch(part);
    }
  },
  testMs,
);

test('the doctor of the broker does the same beside Laravel', async () => {
  const { code, fails, oks } = await doctor(fleet.central.host, ['broker', 'doctor']);
  expect(fails).toEqual([]);
  expect(code).toBe(0);
  expect(oks.join('\n')).toMatch(/broker: broker .* runs and is healthy, with 2 hosts/);
});

test(
  'the doctor finds each planted fault with its remedy, also while coold is down',
  async () => {
    for (const member of fleet.hosts) {
      try {
        await plant(member);
        const { code, checks, fails } = await doctor(member.host);
        expect(code).toBe(1);
        const text = fails.join('\n');
        expect(text).toMatch(/token: the host's token cannot be used: \/etc\/coolify\/host-jwt has mode 644/);
        expect(text).toMatch(
          /address plan: .* of COOLD_SCAFFOLD_POOLS shares addresses with the .* of planted0/,
        );
        expect(text).toMatch(/ports: .*:53 for DNS of namespace default is held by .* on udp/);
        expect(text).toMatch(/coold: coold does not run/);
        expect(checks.filter(({ level, cure }) => level !== 'ok' && (cure ?? '') === '')).toEqual([]);
      } finally {
        await takeOut(member);
      }
    }
    await fleet.allConnected(60_000);
    for (const { host, name } of fleet.hosts) expect((await doctor(host)).fails, name).toEqual([]);
  },
  testMs,
);

const holdPort = (gateway: string) =>
  `require('node:dgram').createSocket('udp4').bind(53, ${JSON.stringify(gateway)});`;

/** Plants three faults, and stops coold, which holds the port otherwise. */
async function plant({ host, namespaces }: FleetHost): Promise<void> {
  const { gateway = '' } = namespaces['default'] ?? {};
  await expectExec(host, ['systemctl', 'stop', 'coold.service']);
  await expectExec(host, ['chmod', '644', '/etc/coolify/host-jwt']);
  await expectExec(host, ['ip', 'link', 'add', 'planted0', 'type', 'bridge']);
  await expectExec(host, ['ip', 'link', 'set', 'planted0', 'up']);
  await expectExec(host, ['ip', 'route', 'add', '10.210.250.0/24', 'dev', 'planted0']);
  const launcher = (await host.get('/usr/local/bin/coold')).toString();
  const node = /^exec (\S+)/m.exec(launcher)?.[1] ?? expect.fail(launcher);
  await expectExec(host, ['systemd-run', '--unit=planted', '--collect', node, '-e', holdPort(gateway)]);
}

async function takeOut({ host }: FleetHost): Promise<void> {
  await host.exec(['systemctl', 'stop', 'planted.service']);
  await host.exec(['ip', 'link', 'delete', 'planted0']);
  await expectExec(host, ['chmod', '600', '/etc/coolify/host-jwt']);
  await expectExec(host, ['systemctl', 'start', 'coold.service']);
}

const planted = {
  environmentFile: 'pl4nted-in-coold-env',
  unit: 'pl4nted-in-a-drop-in',
  containerEnvironment: 'pl4nted-in-container-env',
  label: 'pl4nted-in-a-label',
  networkLabel: 'pl4nted-in-a-network',
  environmentUrl: 'pl4nted-in-a-url-of-env',
  registry: 'pl4nted-in-auth-json',
  url: 'pl4nted-in-a-url',
  header: 'pl4nted-in-a-header',
  assignment: 'pl4nted-in-a-log-line',
};

/** Returns a secret in every form in which a program may write it. */
const formsOf = (secret: string) => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(`user:${secret}`).toString('base64').replace(/=+$/, ''),
];

test(
  'the doctor puts its findings in a bundle, which contains none of the planted secrets',
  async () => {
    const [member] = fleet.hosts;
    const { host } = member ?? expect.fail('no host');
    const env = (await host.get('/etc/coolify/coold.env')).toString();
    await host.put(`${env}\nPLANTED_SETTING=${planted.environmentFile}\n`, '/etc/coolify/coold.env', 0o600);
    await host.put(
      `[Service]\nEnvironment=PLANTED=${planted.unit}\n`,
      '/etc/systemd/system/coold.service.d/planted.conf',
      0o644,
    );
    await expectExec(host, ['systemctl', 'daemon-reload']);
    await runContainer(host, {
      name: 'planted',
      network: 'coolify-default-mesh',
      command: ['sleep', '3600'],
      args: [
        ...['--env', `APP_KEY=${planted.containerEnvironment}`, '--label', `db.password=${planted.label}`],
        ...['--env', `DATABASE_URL=postgres://shop:${planted.environmentUrl}@db/shop`],
      ],
    });
    const label = `db.password=${planted.networkLabel}`;
    await expectExec(host, ['podman', 'network', 'create', '--label', label, 'planted']);
    const login = Buffer.from(`user:${planted.registry}`).toString('base64');
    await expectExec(host, ['mkdir', '-p', '/root/.config/containers']);
    await host.put(
      JSON.stringify({ auths: { 'registry.example.com': { auth: login } } }),
      '/root/.config/containers/auth.json',
      0o600,
    );
    const read = async (path: string) => (await host.get(path)).toString().trim();
    const own = [await read('/etc/coolify/host-jwt'), await read('/etc/coolify/api-token')];
    const wireguard = (await expectExec(host, ['wg', 'show', 'wg0', 'private-key'])).trim();
    const another = 'yAnz5TF/lXXJte14tji3zlMNq/hd2rYUIgJBgB3fBmk=';
    const token = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZC1zaWduYXR1cmU';
    const known = [
      ...[planted.environmentFile, planted.unit, planted.containerEnvironment, planted.label],
      ...[planted.networkLabel, planted.environmentUrl, planted.registry, wireguard, ...own],
    ];
    const half = (secret: string) => Math.floor(secret.length / 2);
    const twice = (secret: string) => Buffer.from(Buffer.from(secret).toString('base64')).toString('base64');
    const logged = [
      `Error: initializing source docker://user:${planted.url}@registry.example.com/a:1: pinging container registry`,
      `PrivateKey = ${another}`,
      `interface wg1 has ${another}`,
      `the caller came with ${token}`,
      `cloning https://user:${planted.url}@git.example.com/a.git`,
      `> Authorization: Basic ${Buffer.from(`user:${planted.header}`).toString('base64')}`,
      `started with DB_PASSWORD=${planted.assignment}`,
      ...known.flatMap(secret => [
        `it was ${secret} again`,
        `in base64 ${Buffer.from(secret).toString('base64')}`,
        `in base64 of base64 ${twice(secret)}`,
        `in two lines ${secret.slice(0, half(secret))}\n${secret.slice(half(secret))} again`,
      ]),
    ];
    for (const line of logged)
      await expectExec(host, ['logger', '--priority', 'user.err', '--tag', 'planted', '--', line]);

    const path = '/root/bundle.tar.gz';
    const made = await host.exec(['coold', 'support-bundle', '--output', path], { timeoutMs: 120_000 });
    expect(made).toMatchObject({ code: 0, stdout: `${path}\n` });
    expect(await expectExec(host, ['stat', '-c', '%a %U', path])).toBe('600 root\n');
    await expectExec(host, ['mkdir', '/root/bundle']);
    await expectExec(host, ['tar', '-xzf', path, '-C', '/root/bundle', '--strip-components=1']);
    const listed = await expectExec(host, ['find', '/root/bundle', '-type', 'f', '-printf', '%P\\n']);
    const names = listed.trim().split('\n');
    expect(names).toEqual(
      expect.arrayContaining([
        ...['status.json', 'doctor.json', 'versions.json', 'settings/coold.json', 'settings/mesh.json'],
        ...['units/coold.service', 'units/states.txt', 'journal/coold.service.txt', 'journal/warnings.txt'],
        ...['firewall/iptables.txt', 'firewall/nft.txt', 'podman/networks.json', 'network/wireguard.json'],
        'rows/service_endpoints.json',
      ]),
    );
    const texts = new Map<string, string>();
    for (const name of names) texts.set(name, (await host.get(`/root/bundle/${name}`)).toString());
    for (const secret of [...Object.values(planted), ...own, wireguard, another, token])
      for (const form of formsOf(secret))
        for (const [name, text] of texts) expect(text.includes(form), `${name}: ${form}`).toBe(false);
    for (const secret of known)
      for (const part of [secret.slice(0, half(secret)), secret.slice(half(secret)), twice(secret)])
        if (part.length >= 8) expect(texts.get('journal/warnings.txt')?.includes(part), part).toBe(false);
    expect(texts.get('journal/warnings.txt')).toContain('the caller came with <redacted>');
    // The remaining content is useful: surrounding lines, rows, checks.
    expect(texts.get('journal/warnings.txt')).toContain('cloning https://<redacted>@git.example.com/a.git');
    expect(texts.get('journal/coold.service.txt')).toContain('coold');
    expect(texts.get('rows/service_endpoints.json')).toContain('"web"');
    expect(texts.get('firewall/nft.txt')).toContain('table bridge coolify_bridge');
    expect(JSON.parse(texts.get('doctor.json') ?? '')).toMatchObject({ checks: expect.any(Array) });
    expect(JSON.parse(texts.get('settings/coold.json') ?? '')).toMatchObject({
      settings: { COOLD_HOST_MGMT_IP: expect.any(String) },
      not_shown: expect.arrayContaining(['PLANTED_SETTING']),
    });
    // It never overwrites a file.
    expect(await host.exec(['coold', 'support-bundle', '--output', path])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('EEXIST'),
    });
  },
  testMs,
);
