// The installed product on one host, which runs Laravel, the broker and coold, on each Debian.
import { parseEnvironmentFile } from '@coold/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFleet, type Fleet, hostUnits } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { builtPackage } from '../harness/product.ts';
import { expectExec, hostSystems, type Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

/** Rented machines take minutes; the lab takes seconds. */
const setUpMs = 15 * 60_000;

/** Lines that an operator may write into an environment file, and that a shell would read differently. */
const environmentText = [
  '# T_COMMENT=1',
  '; T_OTHER=1',
  'T_PLAIN=a',
  '  T_BLANKS  =  a b \t',
  'T_TWICE=1',
  'T_TWICE=2',
  'T_EMPTY=',
  'T_HASH=a # b',
  'T_EQUALS=x=y',
  'no assignment',
  'T_DOUBLE="a \\"b\\\\c\\$d\\`e\\nf"',
  "T_SINGLE='a \\n\"b'",
  'T_LINES="one',
  'two"',
  'T_CONTINUED=one \\',
  'two',
  'T_CONTINUED_IN_QUOTES="one \\',
  'two"',
  'T_ESCAPED=a\\ b\\ ',
  'T_LETTER=a\\nb\\\\c',
  'T_JOINED="a" \'b\' c',
  'T_INNER=a"b"',
  'T-DASH=1',
  'T_LAST="open',
].join('\n');

describe.each(hostSystems)('on %s', system => {
  let provider: Provider;
  let fleet: Fleet;

  beforeAll(async () => {
    const ground = await chooseGround();
    provider = ground.provider;
    fleet = await createFleet(ground, [{ name: 'solo', system }], ['default']);
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

  test('`coold status` and `broker status` print what the guide shows, and say what to do when nothing runs', async () => {
    const { host } = fleet.central;
    expect((await host.get('/etc/coolify/coold.env')).toString()).toContain('COOLD_API_BIND=');
    for (const program of ['coold', 'broker']) {
      const told = await host.exec([program, 'status', '--json']);
      expect(told.code, told.stderr).toBeLessThan(2);
      expect(JSON.parse(told.stdout)).toMatchObject({
        version: expect.any(String),
        problems: expect.any(Array),
      });
      expect((await host.exec([program, 'status'])).code).toBe(told.code);
    }
    await expectExec(host, ['systemctl', 'stop', 'coold.service', 'broker.service']);
    for (const program of ['coold', 'broker'])
      expect(await host.exec([program, 'status'])).toEqual({
        code: 3,
        stdout: '',
        stderr: expect.stringMatching(
          // The last journal line, in which systemd says that it was stopped.
          new RegExp(
            `^${program} status: ${program} does not run .*: start it with "systemctl start ${program}".*\\n(.*\\n)*.*Stopped ${program}\\.service.*\\n`,
          ),
        ),
      });
    await expectExec(host, ['systemctl', 'start', 'coold.service', 'broker.service']);
    await fleet.allConnected(20_000);
  });

  test('systemd reads an environment file like the programs', async () => {
    const { host } = fleet.central;
    await host.put(environmentText, '/root/tricky.env', 0o600);
    const unit = [
      'systemd-run',
      '--wait',
      '--pipe',
      '--quiet',
      '--property=EnvironmentFile=/root/tricky.env',
    ];
    const printed = await expectExec(host, ['/usr/bin/env', '-i', ...unit, '/usr/bin/env', '-0']);
    const said = printed
      .split('\0')
      .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const)
      .filter(([name]) => name.startsWith('T_'));
    expect(Object.fromEntries(said)).toEqual(parseEnvironmentFile(environmentText));
  });

  test('coold and the broker stop in order, and leave containers and the default deny unchanged', async () => {
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

  test('an invalid setting ends coold with a line that names it, and systemd does not restart it', async () => {
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

  test('an installation that was killed before it enabled its units is completed by the next', async () => {
    const { host } = fleet.central;
    const units = ['coold.service', 'coolify-mesh-fw.service'];
    const files = units.map(unit => `/usr/local/lib/systemd/system/${unit}`);
    // The state of a host that has never had them.
    await expectExec(host, ['systemctl', 'disable', '--quiet', ...units]);
    await expectExec(host, ['rm', ...files]);
    await host.put({ file: await builtPackage() }, '/root/coold.tar.gz', 0o600);
    await expectExec(host, ['mkdir', '-p', '/root/again']);
    await expectExec(host, [
      'tar',
      '-xzf',
      '/root/coold.tar.gz',
      '-C',
      '/root/again',
      '--strip-components=1',
    ]);
    await host.put('#!/bin/sh\nkill -KILL "$PPID"\n', '/root/kills/systemctl', 0o755);
    const installer = ['/root/again/install.sh', '--role', 'both'] as const;
    const killed = await host.exec(installer, { env: { PATH: '/root/kills:/usr/sbin:/usr/bin:/sbin:/bin' } });
    expect(killed.code).not.toBe(0);
    expect((await host.exec(['systemctl', 'is-enabled', ...units])).stdout).not.toContain('enabled');
    await expectExec(host, installer, { timeoutMs: 120_000 });
    expect(await expectExec(host, ['systemctl', 'is-enabled', ...units])).toBe('enabled\nenabled\n');
  });
});
