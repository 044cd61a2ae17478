// Installs the package on a new host of each Debian: how install.sh uses systemd.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { builtPackage } from '../harness/product.ts';
import { expectExec, type Host, hostSystems, type Provider } from '../harness/provider.ts';
import { chooseGround } from './provider.ts';

/** The root of another Debian than this machine's may have to be created first. */
const setUpMs = 15 * 60_000;
const ownUnits = ['coold.service', 'coolify-mesh-fw.service', 'coolify-mesh-allow.service'];
const podmanUnits = ['podman.socket', 'podman-restart.service'];
/** Folders in which the package and its programs create files. */
const places = ['/etc', '/opt', '/usr/local', '/run', '/var/lib'];
const rulesPath = '/var/lib/coolify-rules/allow.rules';

describe.each(hostSystems)('on %s', system => {
  let provider: Provider;
  let host: Host;
  /** Paths with our names that existed before the installation. */
  let before: string[];
  beforeAll(async () => {
    const ground = await chooseGround();
    provider = ground.provider;
    const [fresh] = await provider.up([{ name: 'fresh', system }]);
    if (fresh === undefined) throw new Error('a host was asked for');
    host = fresh;
    before = await named(...places);
    await host.put({ file: await builtPackage() }, '/root/coold.tar.gz', 0o600);
    await expectExec(host, ['mkdir', '/root/coold']);
    await expectExec(host, [
      'tar',
      '-xzf',
      '/root/coold.tar.gz',
      '-C',
      '/root/coold',
      '--strip-components=1',
    ]);
  }, setUpMs);
  afterAll(() => provider?.close(), setUpMs);

  const install = () =>
    expectExec(host, ['/root/coold/install.sh', '--prefix', '/opt/coold'], { timeoutMs: 120_000 });
  const uninstall = (...args: string[]) =>
    expectExec(host, ['/root/coold/install.sh', '--uninstall', ...args], { timeoutMs: 120_000 });
  const kernel = () =>
    expectExec(host, ['sh', '-c', 'iptables-save; nft list ruleset; ip -4 address show dev lo']);
  /** Returns every path with our name below some folders; a missing folder has none. */
  const named = async (...folders: string[]) => {
    const ours = '/(coold|coolify|broker|builder|corrosion|restore-allow)[^/]*$';
    const find = 'for folder; do [ ! -d "$folder" ] || find "$folder" -xdev; done | grep -E "$0" || :';
    return (await expectExec(host, ['sh', '-c', find, ours, ...folders])).split('\n');
  };
  /** Returns those of them that are new. */
  const left = async (...folders: string[]) =>
    (await named(...folders)).filter(path => !before.includes(path));
  const show = async (property: string) =>
    (
      await expectExec(host, ['systemctl', 'show', '--property', property, '--value', 'coold.service'])
    ).trim();
  const configure = (more: string) =>
    host.put(`COOLD_HOST_MGMT_IP=${host.address}\n${more}`, '/etc/coolify/coold.env', 0o600);

  test('below a prefix unknown to systemd, its units are enabled and start', async () => {
    await install();
    for (const unit of [...ownUnits, ...podmanUnits])
      expect(await expectExec(host, ['systemctl', 'is-enabled', unit]), unit).toBe('enabled\n');
    await configure('');
    await expectExec(host, ['systemctl', 'start', 'coold.service'], { timeoutMs: 60_000 });
    expect(await show('ActiveState')).toBe('active');
    expect(await show('Environment')).toBe('COOLD_BUILDER_BIN=/opt/coold/bin/builder');
    await host.reboot();
    await eventually(
      'coold to be there after a reboot',
      async () => ((await show('ActiveState')) === 'active' ? true : undefined),
      { timeoutMs: 60_000 },
    );
  }, 180_000);

  test('units that an operator disabled stay disabled after an upgrade', async () => {
    await expectExec(host, ['systemctl', 'disable', '--quiet', 'podman-restart.service']);
    await install();
    expect((await host.exec(['systemctl', 'is-enabled', 'podman-restart.service'])).stdout).toBe(
      'disabled\n',
    );
  }, 180_000);

  test('rule snapshots in another place: coold says what to do and stops, and install.sh does it', async () => {
    await configure(`COOLD_RULES_PATH=${rulesPath}\n`);
    expect((await host.exec(['systemctl', 'restart', 'coold.service'])).code).not.toBe(0);
    expect([await show('ActiveState'), await show('ExecMainStatus')]).toEqual(['failed', '2']);
    expect(await host.journal('coold')).toContain(
      `coold: COOLD_RULES_PATH="${rulesPath}": expected a file in a folder that coold can write to`,
    );
    await install();
    await expectExec(host, ['systemctl', 'restart', 'coold.service'], { timeoutMs: 60_000 });
    expect(await show('ActiveState')).toBe('active');
    // Removed again when the snapshots are in their default place.
    const dropIn = '/etc/systemd/system/coold.service.d/rule-snapshots.conf';
    expect((await host.get(dropIn)).toString()).toContain('ReadWritePaths=-/var/lib/coolify-rules\n');
    await configure('');
    await install();
    expect((await host.exec(['test', '-e', dropIn])).code).toBe(1);
  }, 240_000);

  test('a disabled unit of the operator stays disabled when ours is added', async () => {
    const theirs = '/etc/systemd/system/broker.service';
    await host.put(
      '[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
      theirs,
      0o644,
    );
    await expectExec(host, ['/root/coold/install.sh', '--role', 'central'], { timeoutMs: 120_000 });
    expect((await host.exec(['systemctl', 'is-enabled', 'broker.service'])).stdout).toBe('disabled\n');
    await expectExec(host, ['rm', theirs]);
    const said = await uninstall();
    expect(said).toContain('removed /usr/local/bin/broker\n');
    expect((await left('/usr/local', '/etc/systemd/system')).join('\n')).not.toMatch(/\/broker/);
  }, 180_000);

  test('--uninstall removes everything except settings and tokens, and reports what it did', async () => {
    await host.put(
      'COOLD_SCAFFOLD_SUBNETS=10.210.7.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n',
      '/etc/coolify/mesh.env',
      0o600,
    );
    await expectExec(host, ['systemctl', 'restart', 'coolify-mesh-fw.service', 'coold.service'], {
      timeoutMs: 60_000,
    });
    expect(await kernel()).toContain('COOLIFY-INTRA');
    const said = await uninstall('--prefix', '/opt/coold');
    for (const what of [
      'stopped and disabled coold.service',
      'removed /opt/coold/bin/coold',
      'out of the kernel',
    ])
      expect(said).toContain(what);
    for (const file of ['api-token', 'coold.env', 'mesh.env'])
      expect(said).toContain(`  /etc/coolify/${file}\n`);
    expect(await kernel()).not.toMatch(/coolify/i);
    expect(await left('/opt/coold', '/etc/systemd/system', '/run/coolify')).toEqual([]);
    for (const unit of ownUnits)
      expect((await host.exec(['systemctl', 'show', '-P', 'LoadState', unit])).stdout, unit).toBe(
        'not-found\n',
      );
    expect(await uninstall('--prefix', '/opt/coold')).toContain('nothing is installed below /opt/coold');
    expect((await host.get('/etc/coolify/mesh.env')).toString()).toContain('10.210.7.0/24');
  }, 180_000);

  test('what was adopted from coolify init is restored, and what is missing is named', async () => {
    const theirs = '/etc/systemd/system/coold.service';
    const unit = [
      ...['[Service]', `Environment=COOLD_HOST_MGMT_IP=${host.address}`, 'ExecStart=/usr/local/bin/coold'],
      ...['[Install]', 'WantedBy=multi-user.target', ''],
    ].join('\n');
    await host.put(unit, theirs, 0o644);
    await expectExec(host, ['systemctl', 'enable', '--quiet', 'coold.service']);
    await expectExec(host, ['/root/coold/install.sh', '--adopt'], { timeoutMs: 120_000 });
    expect((await host.exec(['test', '-e', theirs])).code).toBe(1);
    const said = await uninstall();
    expect(said).toContain(`gave ${theirs} back to coolify init\n`);
    expect(said).toContain(
      `${theirs}, a unit of coolify init without its program /usr/local/bin/coold: run coolify init again\n`,
    );
    expect((await host.get(theirs)).toString()).toBe(unit);
    expect((await host.exec(['systemctl', 'is-enabled', 'coold.service'])).stdout).toBe('enabled\n');
    expect((await host.get('/etc/coolify/coold.env')).toString()).not.toContain('taken over');
    await expectExec(host, ['systemctl', 'disable', '--quiet', 'coold.service']);
    await expectExec(host, ['rm', theirs]);
  }, 180_000);

  test('a new installation finds its old settings, and --purge leaves nothing', async () => {
    await configure(`COOLD_RULES_PATH=${rulesPath}\n`);
    await install();
    await expectExec(host, ['systemctl', 'start', 'coolify-mesh-fw.service', 'coold.service'], {
      timeoutMs: 60_000,
    });
    expect(await kernel()).toContain('COOLIFY-INTRA');
    const said = await uninstall('--prefix', '/opt/coold', '--purge');
    expect(said).toContain('removed /etc/coolify/api-token\n');
    expect(said).toContain('removed /var/lib/coolify-builder\n');
    expect(await kernel()).not.toMatch(/coolify/i);
    expect(await left(...places)).toEqual([]);
    expect((await host.exec(['/root/coold/install.sh', '--purge'])).code).toBe(2);
  }, 180_000);
});
