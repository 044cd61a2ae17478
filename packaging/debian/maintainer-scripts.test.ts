// What the scripts that dpkg runs as root remove, and what they leave alone. What dpkg itself does: e2e/scenarios/deb.long.test.ts.
import { dirname } from 'node:path';
import { createMachine, type Machine } from '@coold/testbed/machine';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { debianPackages } from './debian-packages.ts';
import { maintainerScript } from './make-package.ts';

const root = dirname(dirname(import.meta.dirname));
let machine: Machine;
beforeEach(async () => {
  machine = await createMachine(['/etc/coolify', '/etc/corrosion', '/var/lib/coolify-builder']);
  // They write down what they are asked to do.
  await sh('mkdir -p /usr/local/sbin /run/systemd/system /run/coolify /etc/coolify /var/lib/coolify-builder');
  for (const name of ['coold', 'deb-systemd-invoke', 'deb-systemd-helper', 'systemctl'])
    await sh(
      `echo '#!/bin/sh\necho "${name} $*" >>/root/calls' >/usr/local/sbin/${name} && chmod 0755 /usr/local/sbin/${name}`,
    );
  await sh(
    'cd /etc/coolify && touch api-token host-jwt allow.rules jwt.key; touch /run/coolify/coold.sock /root/calls',
  );
}, 60_000);
afterEach(() => machine.close());

const sh = async (line: string) => (await machine.exec('sh', ['-c', line])).stdout;
const script = async (name: 'prerm' | 'postrm', action: 'remove' | 'purge') => {
  const coold = debianPackages.find(it => it.name === 'coold') ?? expect.fail('no package');
  const text = await maintainerScript(root, coold, '1.2.3-feedfeedfeed', name);
  return await machine.exec('sh', ['-c', text, name, action], { mayFail: true });
};
const calls = () => sh('cat /root/calls');

test('removed, the units are stopped and the kernel is cleared; purged, the files of the operator stay', async () => {
  await script('prerm', 'remove');
  expect(await calls()).toContain('deb-systemd-invoke stop coold.service\n');
  expect(await calls()).toContain('coold firewall teardown --mesh-env /usr/lib/coold/none');
  await script('postrm', 'remove');
  expect(await sh('ls -d /run/coolify || :')).toBe('');
  expect((await script('postrm', 'purge')).code).toBe(0);
  expect(await sh('ls -d /etc/coolify/* /var/lib/coolify-builder || :')).toBe('/etc/coolify/jwt.key\n');
});

test.each(['/usr/local/lib/systemd/system', '/etc/systemd/system'])(
  'with a unit in %s, which wins over that of the package, what runs from there continues',
  async folder => {
    await sh(`mkdir -p ${folder} && touch ${folder}/coold.service`);
    await script('prerm', 'remove');
    await script('postrm', 'remove');
    expect(await calls()).not.toMatch(/ stop |teardown/);
    expect((await script('postrm', 'purge')).code).toBe(0);
    expect(await sh('ls /etc/coolify /run/coolify')).toBe(
      '/etc/coolify:\nallow.rules\napi-token\nhost-jwt\njwt.key\n\n/run/coolify:\ncoold.sock\n',
    );
  },
);

test('the rules of coolify init, which have the same names, come back', async () => {
  await sh('touch /etc/systemd/system/coolify-mesh-fw.service');
  await script('prerm', 'remove');
  expect(await calls()).not.toContain('stop coolify-mesh-fw.service');
  expect(await calls()).toMatch(/teardown[^\n]*\ndeb-systemd-invoke try-restart coolify-mesh-fw\.service\n/);
});

test('what cannot go, such as a mount, does not keep dpkg from purging the package', async () => {
  await sh('mount -t tmpfs disk /var/lib/coolify-builder && mkdir /etc/coolify/allow.nft');
  const { code, stderr } = await script('postrm', 'purge');
  expect([code, stderr]).toEqual([
    0,
    expect.stringContaining('coold: not everything could be removed of /var/lib/coolify-builder\n'),
  ]);
  expect(await sh('ls /etc/coolify')).toBe('jwt.key\n');
});
