// The installed product on one host that is everything: Laravel's, the broker's and its own.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createFleet, type Fleet, hostUnits } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { builtPackage } from '../harness/product.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

/** Rented machines take minutes where the lab takes seconds. */
const setUpMs = 15 * 60_000;

let provider: Provider;
let fleet: Fleet;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  fleet = await createFleet(ground, ['solo'], ['default']);
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));

test('every unit is active and Laravel gets its answer', async () => {
  const units = [...hostUnits, 'broker.service'];
  const { stdout } = await fleet.central.host.exec(['systemctl', 'is-active', ...units]);
  expect(stdout.trim().split('\n')).toEqual(units.map(() => 'active'));
  expect((await fleet.dispatch('solo', 'solo-1')).body).toEqual({
    request_id: 'solo-1',
    status: 'ok',
    data: [],
  });
});

test('coold and the broker stop in good order, and leave containers and the default deny alone', async () => {
  const { host } = fleet.central;
  await runContainer(host, { name: 'stays', network: 'coolify-default-mesh' });
  await expectExec(host, ['systemctl', 'stop', 'coold.service', 'broker.service']);
  for (const unit of ['coold.service', 'broker.service'])
    expect(await expectExec(host, ['systemctl', 'show', '--property', 'Result', unit])).toBe(
      'Result=success\n',
    );
  expect(await expectExec(host, ['iptables', '-S', 'FORWARD'])).toContain('-j COOLIFY-INTRA');
  expect(
    await expectExec(host, ['nft', 'list', 'chain', 'bridge', 'coolify_bridge', 'coolify_intra']),
  ).toContain('drop');
  const running = ['podman', 'inspect', '--format', '{{.State.Status}}', 'stays'] as const;
  expect(await expectExec(host, running)).toBe('running\n');
  await expectExec(host, ['systemctl', 'start', 'coold.service', 'broker.service']);
  await fleet.allConnected(20_000);
});

test('a bad value in its configuration ends coold with a line that names it, and systemd lets it rest', async () => {
  const { host } = fleet.central;
  const good = await host.get('/etc/coolify/coold.env');
  await host.put(`${good.toString()}COOLD_LOG_LEVEL=loud\n`, '/etc/coolify/coold.env', 0o600);
  expect((await host.exec(['systemctl', 'restart', 'coold.service'])).code).not.toBe(0);
  const shown = await expectExec(host, [
    ...(['systemctl', 'show', '--property', 'ActiveState', '--property', 'ExecMainStatus'] as const),
    'coold.service',
  ]);
  expect(shown.split('\n').toSorted().join(' ').trim()).toBe('ActiveState=failed ExecMainStatus=2');
  expect(await host.journal('coold')).toContain('COOLD_LOG_LEVEL="loud": expected one of');
  await host.put(good, '/etc/coolify/coold.env', 0o600);
  await expectExec(host, ['systemctl', 'start', 'coold.service']);
  await fleet.allConnected(20_000);
});

test('an installation that is killed before it has enabled its units is made up for by the next', async () => {
  const { host } = fleet.central;
  const units = ['coold.service', 'coolify-mesh-fw.service'];
  const files = units.map(unit => `/usr/local/lib/systemd/system/${unit}`);
  // As on a host that has never had them.
  await expectExec(host, ['systemctl', 'disable', '--quiet', ...units]);
  await expectExec(host, ['rm', ...files]);
  await host.put({ file: await builtPackage() }, '/root/coold.tar.gz', 0o600);
  await expectExec(host, ['mkdir', '-p', '/root/again']);
  await expectExec(host, ['tar', '-xzf', '/root/coold.tar.gz', '-C', '/root/again', '--strip-components=1']);
  await host.put('#!/bin/sh\nkill -KILL "$PPID"\n', '/root/kills/systemctl', 0o755);
  const installer = ['/root/again/install.sh', '--role', 'both'] as const;
  const killed = await host.exec(installer, { env: { PATH: '/root/kills:/usr/sbin:/usr/bin:/sbin:/bin' } });
  expect(killed.code).not.toBe(0);
  expect((await host.exec(['systemctl', 'is-enabled', ...units])).stdout).not.toContain('enabled');
  await expectExec(host, installer, { timeoutMs: 120_000 });
  expect(await expectExec(host, ['systemctl', 'is-enabled', ...units])).toBe('enabled\nenabled\n');
});
