import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { brokerCommand } from '@coold/broker/config';
import { cooldCommand } from '@coold/coold/config';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import { runChild } from '@coold/runtime';
import type { Architecture } from '../architectures.ts';
import { programTables } from '../command-table.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../completions.ts';
import { environmentFile } from '../environment-file.ts';
import { manPage } from '../man-page.ts';
import { copyAll, copyTree, write } from '../placing.ts';
import { programs } from '../programs.ts';
import { fillLib, type Made, thirdPartyLicences, writeSbom } from '../release.ts';
import type { DebianPackage } from './debian-packages.ts';

const maintainer = 'coold maintainers <coold@users.noreply.github.com>';
const settingsOf: Readonly<Record<string, () => string>> = {
  'coold.env': () => environmentFile(cooldCommand),
  'mesh.env': () => environmentFile(scaffoldCommand),
  'broker.env': () => environmentFile(brokerCommand),
};

/**
 * Makes a Debian package of the release, `<name>_<version>_<architecture>.deb`. The same release gives the same bytes.
 *
 * @returns its path
 * @throws Error with what dpkg-deb said
 */
export async function makeDebianPackage(
  made: Made,
  architecture: Architecture,
  debian: DebianPackage,
  work: string,
): Promise<string> {
  const folder = join(work, debian.name);
  const release = await fillTree(folder, made, architecture, debian);
  await writeControl(folder, made, architecture, debian, release);
  const path = join(work, `${debian.name}_${made.version}_${architecture.debian}.deb`);
  const { code, stderr } = await runChild(
    'dpkg-deb',
    // One thread and a low level: the same bytes on every machine, in seconds.
    ['--root-owner-group', '-Zxz', '-z1', '--threads-max=1', '--build', folder, path],
    { timeoutMs: 300_000, env: { ...process.env, SOURCE_DATE_EPOCH: made.epoch } },
  );
  if (code !== 0) throw new Error(`dpkg-deb: exit ${code}: ${stderr.trim()}`);
  return path;
}

/** What the package puts onto a host. Returns the name of the release's folder. */
async function fillTree(
  folder: string,
  made: Made,
  architecture: Architecture,
  { name, role, units, settings }: DebianPackage,
): Promise<string> {
  const { root, epoch, version } = made;
  const own = programs.filter(program => program.role === role);
  const usr = join(folder, 'usr');
  const unnamed = join(usr, 'lib', name, 'release');
  const release = await fillLib(unnamed, made, architecture, own);
  const documents = join(usr, 'share/doc', name);
  await write(join(documents, 'THIRD-PARTY-LICENCES.gz'), packed(await thirdPartyLicences(unnamed)));
  for (const program of own) {
    const at = `/usr/lib/${name}/${release}`;
    const launcher = `#!/bin/sh\nexec ${at}/node ${at}/${program.name}.mjs "$@"\n`;
    await write(join(usr, 'bin', program.name), launcher, 0o755);
    const table = programTables.find(it => it.name === program.name);
    if (table === undefined) throw new Error(`the command table has no ${program.name}`);
    await write(join(usr, `share/man/man8/${program.name}.8.gz`), packed(manPage(table, { version, epoch })));
    await write(join(usr, 'share/bash-completion/completions', program.name), bashCompletion(table));
    await write(join(usr, `share/zsh/vendor-completions/_${program.name}`), zshCompletion(table));
    await write(join(usr, `share/fish/vendor_completions.d/${program.name}.fish`), fishCompletion(table));
  }
  await rename(unnamed, join(usr, 'lib', name, release));
  const systemd = (file: string) => readFile(join(root, 'systemd', file), 'utf8');
  for (const unit of units)
    await write(
      join(usr, 'lib/systemd/system', unit),
      (await systemd(unit)).replaceAll('/usr/local/', '/usr/'),
    );
  await write(join(usr, `lib/tmpfiles.d/${name}.conf`), await systemd('coolify.conf'));
  for (const file of settings)
    await write(join(folder, 'etc/coolify', file), settingsOf[file]?.() ?? '', 0o600);
  if (role === 'host') {
    await write(join(usr, 'lib', name, 'restore-allow.sh'), await systemd('restore-allow.sh'), 0o755);
    await copyAll(join(root, 'packaging/corrosion'), join(usr, 'share', name, 'corrosion'), /\.sql$|\.toml$/);
    await copyAll(join(root, 'systemd'), join(usr, 'share', name, 'corrosion'), /^corrosion\.service$/);
  }
  await write(join(documents, 'copyright'), await readFile(join(root, 'packaging/debian/copyright'), 'utf8'));
  await write(join(documents, 'changelog.gz'), packed(changelog(name, made)));
  await write(join(usr, 'share/lintian/overrides', name), overrides(name));
  await writeSbom(made, architecture, join(documents, 'sbom.cdx.json'));
  await copyAll(root, documents, /^(?:README|CHANGELOG|SECURITY)\.md$/);
  await copyTree(join(root, 'docs'), join(documents, 'docs'));
  return release;
}

async function writeControl(
  folder: string,
  { root, version }: Made,
  architecture: Architecture,
  debian: DebianPackage,
  release: string,
): Promise<void> {
  const control = join(folder, 'DEBIAN');
  const { name, synopsis, description, depends, recommends, settings } = debian;
  const fields = [
    ...[`Package: ${name}`, `Version: ${version}`, `Architecture: ${architecture.debian}`],
    ...[`Maintainer: ${maintainer}`, 'Section: admin', 'Priority: optional'],
    `Installed-Size: ${Math.ceil((await bytesIn(folder)) / 1024)}`,
    `Depends: ${[...depends].sort().join(', ')}`,
    ...(recommends.length === 0 ? [] : [`Recommends: ${recommends.join(', ')}`]),
    'Homepage: https://github.com/coollabsio/coold',
    `Description: ${synopsis}`,
    ...description.map(line => ` ${line}`),
  ];
  await write(join(control, 'control'), `${fields.join('\n')}\n`);
  await write(join(control, 'conffiles'), settings.map(file => `/etc/coolify/${file}\n`).join(''));
  await write(join(control, 'md5sums'), await md5sums(folder));
  for (const script of ['postinst', 'prerm', 'postrm'])
    await write(join(control, script), await maintainerScript(root, debian, release, script), 0o755);
}

/** Returns the text of a maintainer script: `postinst`, `prerm` or `postrm`. */
export async function maintainerScript(
  root: string,
  { name, role, units, restarted }: DebianPackage,
  release: string,
  script: string,
): Promise<string> {
  const read = (file: string) => readFile(join(root, 'packaging/debian', file), 'utf8').catch(() => '');
  const shared = (await read(`shared.${script}`)).trim();
  const text = (await read(`${name}.${script}`)).replace('@SHARED@', () => shared);
  const values: Record<string, string> = {
    PACKAGE: name,
    RELEASE: release,
    RESTARTED: restarted.join(' '),
    PROGRAMS: programs
      .filter(it => it.role === role)
      .map(it => it.name)
      .join(' '),
    UNITS: units.filter(unit => !unit.includes('@.')).join(' '),
    TABLES: await tables(root),
    WINS: (await read('wins.sh')).trim(),
  };
  return text.replaceAll(/@([A-Z]+)@/g, (mark, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`${name}.${script} has a mark ${mark} that stands for nothing`);
    return value;
  });
}

/** The hash and the name of each table, a line each. */
async function tables(root: string): Promise<string> {
  const folder = join(root, 'packaging/corrosion');
  const names = (await readdir(folder)).filter(name => name.endsWith('.sql')).sort();
  const lines = names.map(async name => {
    const hash = createHash('sha256').update(await readFile(join(folder, name)));
    return `${hash.digest('hex')} ${name}`;
  });
  return (await Promise.all(lines)).join('\n');
}

/** What lintian finds and is meant so: Node is one file, with its libraries inside. */
function overrides(name: string): string {
  const inside = ['mbedtls', 'zlib'].map(
    library => `${name}: embedded-library ${library} [usr/lib/${name}/*/node]\n`,
  );
  return `# Node is one file, with its libraries inside.\n${inside.join('')}`;
}

function changelog(name: string, { version, epoch }: Made): string {
  const date = new Date(Number(epoch) * 1000).toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) stable; urgency=medium\n\n  * CHANGELOG.md says what has changed.\n\n -- ${maintainer}  ${date}\n`;
}

async function md5sums(folder: string): Promise<string> {
  const lines: string[] = [];
  for (const path of (await filesIn(folder)).filter(it => !/^(?:DEBIAN|etc)\//.test(it))) {
    const hash = createHash('md5').update(await readFile(join(folder, path)));
    lines.push(`${hash.digest('hex')}  ${path}\n`);
  }
  return lines.join('');
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = (await filesIn(folder)).map(async path => (await lstat(join(folder, path))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile());
  return files.map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/** As Debian wants what lies compressed on a host: without a time in it. */
function packed(text: string): Buffer {
  return gzipSync(text, { level: 9 });
}
