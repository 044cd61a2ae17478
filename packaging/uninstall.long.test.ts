// What `install.sh --uninstall` removes, and what it leaves alone, on machines without systemd. The programs are stand-ins that write down
// how they are called. Real programs and real units: e2e/scenarios/install.long.test.ts.
import { copyFile, cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { createMachine, type Machine } from '@coold/testbed/machine';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ownArchitecture } from './architectures.ts';
import { write } from './placing.ts';
import { programs } from './programs.ts';

const root = dirname(import.meta.dirname);
const rules = '*filter\\n:COOLIFY-ALLOW -\\nCOMMIT\\n';
/** Every file and folder that the package, or a program of it, makes. */
const everything = '/usr/local /etc/coolify /etc/corrosion /var/lib/coolify-builder /opt';

let cleanup: AsyncDisposableStack;
let machine: Machine;
let unpacked: string;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  unpacked = cleanup.use(await scratchFolder()).path;
  await write(join(unpacked, 'RELEASE'), '1.2.3-feedfeedfeed\n');
  await write(join(unpacked, 'ARCH'), `${ownArchitecture().machine}\n`);
  await write(join(unpacked, 'programs'), programs.map(it => `${it.name} ${it.role}\n`).join(''));
  await write(join(unpacked, 'lib/node'), '#!/bin/sh\necho "$*" >>/root/calls\n', 0o755);
  for (const name of ['coold', 'mesh', 'broker'])
    await write(join(unpacked, `etc/${name}.env`), `# ${name}\n`);
  for (const name of ['install.sh', 'uninstall.sh'])
    await copyFile(join(root, 'packaging', name), join(unpacked, name));
  await cp(join(root, 'packaging/corrosion'), join(unpacked, 'corrosion'), { recursive: true });
  await cp(join(root, 'systemd'), join(unpacked, 'systemd'), { recursive: true });
  machine = await createMachine(['/etc/coolify', '/etc/corrosion', '/var/lib/coolify-builder']);
  cleanup.defer(() => machine.close());
  await sh('rm -rf /opt/*');
  await installer('--role', 'both');
}, 60_000);
afterEach(() => cleanup.disposeAsync());

const sh = async (line: string) => (await machine.exec('sh', ['-c', line])).stdout;
const installer = (...args: string[]) => machine.exec('sh', [join(unpacked, 'install.sh'), ...args]);
const failing = async (...args: string[]) => {
  const done = await machine.exec('sh', [join(unpacked, 'install.sh'), ...args], { mayFail: true });
  return { code: done.code, said: done.stdout + done.stderr };
};
const files = () => sh(`find ${everything} ! -type d 2>/dev/null | sort || :`);
/** A program that stands in for one of the system's. */
const standIn = (name: string, text: string) =>
  sh(
    `mkdir -p /usr/local/sbin && printf '%s' '#!/bin/sh\n${text}\n' >/usr/local/sbin/${name} && chmod 0755 /usr/local/sbin/${name}`,
  );

test('--purge leaves nothing, and a second run changes nothing', async () => {
  await sh('mkdir -p /var/lib/coolify-builder/x');
  const { stdout } = await installer('--uninstall', '--purge');
  expect(stdout).toContain('removed /usr/local/bin/coold\n');
  expect(await sh('cat /root/calls')).toMatch(
    /coold\.mjs firewall teardown --mesh-env \S+\.none --rules-path \/etc\/coolify\/allow\.rules /,
  );
  expect(await files()).toBe('');
  expect((await installer('--uninstall', '--purge')).stdout).toContain(
    'nothing is installed below /usr/local\n',
  );
});

test.each([1, 5, 9, 14])('a run that is killed after %i lines is made up for by the next', async lines => {
  await sh(`sh ${unpacked}/install.sh --uninstall --purge 2>&1 | head -n ${lines}`);
  await installer('--uninstall', '--purge');
  expect(await files()).toBe('');
});

describe('what coold.env names', () => {
  test.each([
    ['/etc/hosts', '/etc/hosts'],
    ['/etc', '/etc/hosts'],
    ['/', '/etc/hosts'],
    ['/etc/coolify/../hosts', '/etc/hosts'],
    ['/srv/mine', '/srv/mine/page'],
    ['/srv/my rules', '/srv/my rules'],
    ['mine', '/mine'],
    ['-rf', '/-rf'],
  ])('stays when coold has not written it: %s', async (path, file) => {
    await sh(`mkdir -p /srv/mine && touch /srv/mine/page '/srv/my rules' /mine /-rf`);
    await sh(`echo 'COOLD_RULES_PATH="${path}"' >/etc/coolify/coold.env`);
    const { said, code } = await failing('--uninstall', '--purge');
    expect([code, said]).toEqual([
      0,
      expect.stringContaining(`${path}, which coold.env names, is no snapshot`),
    ]);
    expect(await sh(`ls -d '${file}'`)).toBe(`${file}\n`);
    expect(await files()).toBe('');
  });

  test('goes when coold has written it, with a folder that has nothing else', async () => {
    await sh(
      `mkdir -p /var/lib/rules && cd /var/lib/rules && printf '${rules}' >mine.rules && touch allow.lock`,
    );
    await sh(`echo COOLD_RULES_PATH=/var/lib/rules/mine.rules >/etc/coolify/coold.env`);
    await installer('--uninstall', '--purge');
    expect(await sh('ls -d /var/lib/rules || :')).toBe('');
  });
});

test('a folder of settings that lies elsewhere is emptied of ours, and what is left is named', async () => {
  await sh('mv /etc/coolify /srv/settings && ln -s /srv/settings /etc/coolify && touch /etc/coolify/jwt.key');
  const { stdout } = await installer('--uninstall', '--purge');
  expect(stdout).toMatch(/what is left:\n\s+\/etc\/coolify\/jwt\.key\n/);
  expect(await sh('ls /srv/settings')).toBe('jwt.key\n');
});

test('what cannot go, such as a mount, does not keep the rest', async () => {
  await sh(
    'mkdir -p /var/lib/coolify-builder && mount -t tmpfs disk /var/lib/coolify-builder && touch /var/lib/coolify-builder/x',
  );
  const { code, said } = await failing('--uninstall', '--purge');
  expect([code, said]).toEqual([
    1,
    expect.stringContaining('/var/lib/coolify-builder could not be removed whole\n'),
  ]);
  expect(await files()).toBe('');
  await sh('umount /var/lib/coolify-builder');
  expect((await failing('--uninstall', '--purge')).code).toBe(0);
  expect(await sh('ls -d /var/lib/coolify-builder || :')).toBe('');
});

test('files of others below the prefix stay', async () => {
  await installer('--prefix', '/opt/two');
  await sh('touch /opt/two/bin/other && echo "#!/bin/sh" >/opt/two/bin/builder');
  await installer('--uninstall', '--prefix', '/opt/two', '--role', 'host');
  expect(await sh('find /opt -type f')).toBe('/opt/two/bin/other\n/opt/two/bin/builder\n');
});

test('an odd prefix is refused before anything changes', async () => {
  const before = await files();
  for (const prefix of ['/', '//', '', 'usr', '/usr/..', '/opt/./coold', '/opt//coold', '/opt/my programs']) {
    const { code, said } = await failing('--uninstall', '--purge', '--prefix', prefix);
    expect([code, said]).toEqual([2, expect.stringMatching(/^install\.sh: --prefix .*: expected /)]);
  }
  expect(await files()).toBe(before);
});

describe('next to the Debian package,', () => {
  // Of a package whose upgrade has failed in the middle, too.
  test.each(['ii ', 'iU ', 'iF '])('%s: its files and settings are not touched', async state => {
    await standIn('dpkg-query', `[ "$3" = coold ] && echo "${state}"`);
    const before = await sh('find /etc/coolify -type f | sort');
    expect(await failing('--uninstall', '--purge', '--prefix', '/usr')).toEqual({
      code: 1,
      said: 'install.sh: what lies below /usr is of the Debian packages that are installed: coold\n',
    });
    await installer('--uninstall', '--purge', '--role', 'host');
    expect(await sh('cat /root/calls || :')).not.toContain('teardown');
    expect(await sh('find /etc/coolify -type f | sort')).toBe(before);
  });

  test('one that was removed counts no more', async () => {
    await standIn('dpkg-query', 'echo "rc "');
    await installer('--uninstall', '--purge');
    expect(await sh('ls -d /etc/coolify || :')).toBe('');
  });
});

test('another prefix than that of the installation that runs leaves what that one needs', async () => {
  await sh('mkdir -p /run/systemd/system /run/coolify && touch /run/coolify/coold.sock');
  await standIn(
    'systemctl',
    'case "$1 $6" in "show coold.service") echo /usr/local/lib/systemd/system/coold.service ;; esac',
  );
  const before = await files();
  const { stdout } = await installer('--uninstall', '--purge', '--prefix', '/opt/wrong', '--role', 'host');
  expect(stdout).toContain(
    'coold.service is of an installation below another prefix: nothing of role host is removed\n',
  );
  expect(await files()).toBe(before);
  expect(await sh('ls /run/coolify')).toBe('coold.sock\n');
});

test('--role gives back to coolify init what was adopted of that role alone', async () => {
  await sh(
    'mkdir -p /etc/coolify/adopted && cd /etc/coolify/adopted && echo a >coold.service && echo b >broker.service',
  );
  await installer('--uninstall', '--role', 'central');
  expect(
    await sh('cat /etc/systemd/system/broker.service; ls /etc/systemd/system/coold.service 2>/dev/null || :'),
  ).toBe('b\n');
  expect(await sh('ls /etc/coolify/adopted')).toBe('coold.service\n');
});
