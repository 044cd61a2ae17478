// The package on a host of each Debian that has never had it: what install.sh does with systemd.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { builtPackage } from '../harness/product.ts';
import { expectExec, type Host, hostSystems, type Provider } from '../harness/provider.ts';
import { chooseGround } from './provider.ts';

/** Of another Debian than the machine's, the root may have to be made first. */
const setUpMs = 15 * 60_000;
const ownUnits = ['coold.service', 'coolify-mesh-fw.service', 'coolify-mesh-allow.service'];
const podmanUnits = ['podman.socket', 'podman-restart.service'];
const rulesPath = '/var/lib/coolify-rules/allow.rules';

describe.each(hostSystems)('on %s', system => {
  let provider: Provider;
  let host: Host;
  beforeAll(async () => {
    const ground = await chooseGround();
    provider = ground.provider;
    const [fresh] = await provider.up([{ name: 'fresh', system }]);
    if (fresh === undefined) throw new Error('a host was asked for');
    host = fresh;
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
  const show = async (property: string) =>
    (
      await expectExec(host, ['systemctl', 'show', '--property', property, '--value', 'coold.service'])
    ).trim();
  const configure = (more: string) =>
    host.put(`COOLD_HOST_MGMT_IP=${host.address}\n${more}`, '/etc/coolify/coold.env', 0o600);

  test('below a prefix that systemd does not know, its units are enabled and start', async () => {
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
      { timeoutMs: 30_000 },
    );
  }, 180_000);

  test('what an operator disabled stays disabled by an upgrade', async () => {
    await expectExec(host, ['systemctl', 'disable', '--quiet', 'podman-restart.service']);
    await install();
    expect((await host.exec(['systemctl', 'is-enabled', 'podman-restart.service'])).stdout).toBe(
      'disabled\n',
    );
  }, 180_000);

  test('rule snapshots elsewhere: coold says what to do and rests, and install.sh does it', async () => {
    await configure(`COOLD_RULES_PATH=${rulesPath}\n`);
    expect((await host.exec(['systemctl', 'restart', 'coold.service'])).code).not.toBe(0);
    expect([await show('ActiveState'), await show('ExecMainStatus')]).toEqual(['failed', '2']);
    expect(await host.journal('coold')).toContain(
      `coold: COOLD_RULES_PATH="${rulesPath}": expected a file in a folder that coold can write to`,
    );
    await install();
    await expectExec(host, ['systemctl', 'restart', 'coold.service'], { timeoutMs: 60_000 });
    expect(await show('ActiveState')).toBe('active');
    // Taken back where the snapshots are in their own place again.
    const dropIn = '/etc/systemd/system/coold.service.d/rule-snapshots.conf';
    expect((await host.get(dropIn)).toString()).toContain('ReadWritePaths=-/var/lib/coolify-rules\n');
    await configure('');
    await install();
    expect((await host.exec(['test', '-e', dropIn])).code).toBe(1);
  }, 240_000);
});
