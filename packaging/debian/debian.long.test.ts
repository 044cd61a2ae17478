// The Debian packages as they are built. What they do on a host: e2e/scenarios/deb.long.test.ts.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { debianPackages } from './debian-packages.ts';

let dist: string;
let debs: string[];

const build = async (folder: string, umask = '022') => {
  const args = [process.execPath, join(import.meta.dirname, '../build.ts'), folder, '--deb'];
  const inShell = ['-c', `umask ${umask}; exec "$@"`, 'sh', ...args];
  const { code, stderr } = await runChild('sh', inShell, { timeoutMs: 400_000 });
  if (code !== 0) throw new Error(stderr);
};
const folderFor = () => mkdtemp(join(tmpdir(), 'coold-debian-'));

beforeAll(async () => {
  dist = await folderFor();
  await build(dist);
  debs = (await readdir(dist)).filter(name => name.endsWith('.deb')).sort();
}, 420_000);
afterAll(() => rm(dist, { recursive: true, force: true }));

const run = async (program: string, args: string[]) => {
  const { code, stdout, stderr } = await runChild(program, args, { timeoutMs: 300_000 });
  return { code, said: stdout + stderr };
};
const path = (name: string) => join(dist, debs.find(deb => deb.startsWith(`${name}_`)) ?? '');

test('they are named as Debian names packages, and small enough to carry', async () => {
  const names = debs.map(deb => deb.replace(/_\d+\.\d+\.\d+_(?:amd64|arm64)\.deb$/, ''));
  expect(names).toEqual(['coold-broker', 'coold']);
  const { said } = await run('dpkg-deb', ['--field', path('coold'), 'Installed-Size']);
  expect(Number(said)).toBeLessThan(130_000);
});

test.each(debianPackages)(
  '$name has its programs, units, settings, man pages and completions',
  async ({ name, units, settings, role }) => {
    const listed = (await run('dpkg-deb', ['--contents', path(name)])).said;
    const own = role === 'host' ? ['coold', 'builder'] : ['broker'];
    for (const program of own)
      for (const place of [
        `bin/${program}`,
        `share/man/man8/${program}.8.gz`,
        `share/bash-completion/completions/${program}`,
        `share/zsh/vendor-completions/_${program}`,
        `share/fish/vendor_completions.d/${program}.fish`,
      ])
        expect(listed).toContain(` ./usr/${place}\n`);
    for (const unit of units) expect(listed).toContain(` ./usr/lib/systemd/system/${unit}\n`);
    for (const file of settings)
      expect(listed).toMatch(new RegExp(`^-rw------- root/root .* \\./etc/coolify/${file}$`, 'm'));
    // Its own programs alone.
    expect(listed).not.toContain(role === 'host' ? '/broker.mjs' : '/coold.mjs');
    const conffiles = (await run('dpkg-deb', ['--info', path(name), 'conffiles'])).said;
    expect(conffiles).toBe(settings.map(file => `/etc/coolify/${file}\n`).join(''));
  },
);

test.each(debianPackages)('the scripts of $name are shell that sh reads', async ({ name }) => {
  for (const script of ['postinst', 'prerm', 'postrm']) {
    const { said } = await run('dpkg-deb', ['--info', path(name), script]);
    expect(said).not.toMatch(/@[A-Z]+@/);
    expect(await run('sh', ['-n', '-c', said]), script).toEqual({ code: 0, said: '' });
  }
});

test('lintian finds no error in them', async ({ skip }) => {
  skip((await run('sh', ['-c', 'command -v lintian'])).code !== 0, 'lintian is not installed');
  const { said } = await run('lintian', [
    '--profile',
    'debian',
    '--fail-on',
    'error',
    ...debs.map(deb => join(dist, deb)),
  ]);
  expect(said.split('\n').filter(line => line.startsWith('E:'))).toEqual([]);
}, 300_000);

test('a second build, by somebody with another umask, gives the same bytes', async () => {
  const again = await folderFor();
  try {
    await build(again, '077');
    const sums = (folder: string) => readFile(join(folder, 'SHA256SUMS'), 'utf8');
    expect(await sums(again)).toBe(await sums(dist));
  } finally {
    await rm(again, { recursive: true, force: true });
  }
}, 420_000);
