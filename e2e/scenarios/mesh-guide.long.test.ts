// Follows docs/guide/mesh.md from its first block to its last on bare hosts: central, the first two hosts, and the
// added one. Where that page refers to backups, follows docs/guide/backup.md with a new machine for host-2. The
// packages that the pages install are there already, since lab hosts reach no mirror; a registry on central stands in
// for docker.io.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { type GuideSection, readGuide } from '../docs/guide.ts';
import { root } from '../docs/tree.ts';
import {
  cutApt,
  makeRootKey,
  mirrorDockerHub,
  putArchive,
  putCorrosion,
  putNewerArchive,
  putStandInFiles,
  standInForDockerHub,
} from '../harness/bare-hosts.ts';
import { openSsh } from '../harness/coolify-ground.ts';
import { printJournals } from '../harness/fleet.ts';
import { followSection, type GuideReader } from '../harness/follow-guide.ts';
import { expectExec, type Host, type Provider } from '../harness/provider.ts';
import { chooseGround } from './provider.ts';

/** The root of another Debian than this machine's may have to be created first. */
const setUpMs = 15 * 60_000;
const sectionMs = 5 * 60_000;

const read = (name: string) => readGuide(readFileSync(join(root, `docs/guide/${name}.md`), 'utf8'));
const mesh = read('mesh');
const backup = read('backup');
/** The shortest that coold accepts. With the page's 20 minutes the test would take as long. */
const shortTtl = '20s';

interface Ground {
  provider: Provider;
  reader: GuideReader;
  /** The SSH key of root on central. */
  sshKey: string;
  /** Address of the registry that stands in for docker.io. */
  registry: string;
  corrosion: 'corrosion' | 'stand-in';
  /** The machines' addresses by the addresses on the pages. */
  addresses: Record<string, string>;
}
let ground: Ground | undefined;
const given = () => ground ?? expect.fail('the machines did not come up');
const machine = (name: string): Host => given().reader.machines[name] ?? expect.fail(`${name} is no machine`);
const run = (name: string, ...argv: [string, ...string[]]) => expectExec(machine(name), argv);

let provider: Provider | undefined;
beforeAll(async () => {
  ({ provider } = await chooseGround());
  const hosts = await provider.up([
    { name: 'central', system: 'debian-12' },
    { name: 'host-1', system: 'debian-12' },
    { name: 'host-2', system: 'debian-13' },
    { name: 'host-3', system: 'debian-13' },
  ]);
  const [central, ...others] = hosts;
  if (central === undefined) throw new Error('four hosts were asked for');
  const sshKey = await makeRootKey(central);
  const folder = await putArchive(central);
  const newer = folder.replace(/-\d[\w.]*/, '-0.2.0');
  const [registry, corrosion] = await Promise.all([
    standInForDockerHub(central, hosts),
    putCorrosion(central, others),
    putNewerArchive(central, folder, newer, '0.2.0'),
    ...(provider.name === 'lab' ? hosts.map(cutApt) : []),
    ...others.map(host => openSsh(host, sshKey)),
  ]);
  process.stderr.write(`mesh guide: ${corrosion}\n`);
  const addresses = Object.fromEntries(
    hosts.map(({ address }, number) => [`203.0.113.${10 + number}`, address]),
  );
  const reader: GuideReader = {
    machines: Object.fromEntries(hosts.map(host => [host.name, host])),
    eachHost: ['host-1', 'host-2'],
    adapt: text =>
      text
        .replaceAll(/203\.0\.113\.\d+/g, page => addresses[page] ?? page)
        .replaceAll('coold-0.1.0-linux-x64', folder)
        .replaceAll('coold-0.2.0-linux-x64', newer),
  };
  ground = { provider, reader, sshKey, registry, corrosion, addresses };
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);

/** Steps on the readers' machines before a section. */
const before: Record<string, () => Promise<void>> = {
  'Remove a host': () => setHostTtl(shortTtl),
  Upgrade: () => setHostTtl('20m'),
  async 'Back up a host'() {
    await run('host-2', 'podman', 'volume', 'create', 'shop-data');
    await run('host-2', 'sh', '-c', 'echo kept >"$(podman volume mount shop-data)/page"');
    const rule = { type: 'firewall.allow', src: '10.210.1.10', dst: '10.210.2.10' };
    await run('central', 'ask', 'host-2', JSON.stringify(rule));
  },
  async 'Restore a host'() {
    await machine('host-2').crash();
    await addNewMachine();
  },
  async 'Restore central'() {
    const { reader } = given();
    reader.machines['the new central'] = machine('central');
    // A new machine would have a new address, so the broker's files are removed from the existing one instead.
    const lost = [
      ...['/etc/coolify', '/var/lib/coolify-broker', '/usr/local/lib/coold', '/usr/local/bin/broker'],
      ...['/usr/local/lib/systemd/system/broker.service', '/root/hosts', '/root/coold-0.1.0-linux-x64'],
    ];
    await run('central', 'systemctl', 'disable', '--now', '--quiet', 'broker.service');
    await run('central', 'rm', '-rf', ...lost.map(reader.adapt));
    await run('central', 'systemctl', 'daemon-reload');
  },
};

/** Checks of what the page says about a section beyond the output of its blocks. */
const after: Record<string, () => Promise<void>> = {
  async Corrosion() {
    for (const name of given().reader.eachHost)
      expect(await rowsOfEndpoints(name), name).toContain('{"row":[1,[0]]}');
  },
  async 'Add a host'() {
    given().reader.eachHost = ['host-1', 'host-2', 'host-3'];
    expect(await wireguardPeers('host-1')).toBe(2);
  },
  async 'Remove a host'() {
    given().reader.eachHost = ['host-1', 'host-2'];
    expect(await wireguardPeers('host-1')).toBe(1);
  },
  async 'Restore a host'() {
    const { reader } = given();
    reader.machines['host-2'] = machine('the new machine');
    expect(await run('host-2', 'sh', '-c', 'cat "$(podman volume mount shop-data)/page"')).toBe('kept\n');
  },
  async Uninstall() {
    for (const name of given().reader.eachHost) {
      expect(await run(name, 'nft', 'list', 'tables'), name).not.toContain('coolify_');
      expect(await run(name, 'ip', '-brief', 'link'), name).not.toContain('wg0');
    }
  },
};

const whereBackupsAre = mesh.findIndex(({ title }) => title === 'Uninstall');
const sections: { page: string; section: GuideSection; all: GuideSection[] }[] = [
  ...mesh.slice(0, whereBackupsAre).map(section => ({ page: 'mesh guide', section, all: mesh })),
  ...backup.map(section => ({ page: 'backup guide', section, all: backup })),
  ...mesh.slice(whereBackupsAre).map(section => ({ page: 'mesh guide', section, all: mesh })),
];

test.each(sections.filter(({ section }) => section.steps.length > 0))(
  '$page: $section.title',
  async ({ section, all }) => {
    const { reader } = given();
    onTestFailed(() => printJournals(Object.values(reader.machines)));
    await before[section.title]?.();
    await followSection(section, all, reader);
    await after[section.title]?.();
  },
  sectionMs,
);

test('the guides have every section for which there is a step before or after', () => {
  const titles = sections.map(({ section }) => section.title);
  expect([...Object.keys(before), ...Object.keys(after)].filter(title => !titles.includes(title))).toEqual(
    [],
  );
});

async function addNewMachine(): Promise<void> {
  const { provider: from, reader, sshKey, registry, corrosion, addresses } = given();
  const [fresh] = await from.up([{ name: 'new-host-2', system: 'debian-13' }]);
  if (fresh === undefined) throw new Error('a host was asked for');
  await Promise.all([openSsh(fresh, sshKey), mirrorDockerHub(fresh, registry)]);
  if (from.name === 'lab') await cutApt(fresh);
  if (corrosion === 'stand-in') await putStandInFiles(fresh);
  addresses['203.0.113.22'] = fresh.address;
  reader.machines['the new machine'] = fresh;
}

async function rowsOfEndpoints(name: string): Promise<string> {
  const count = JSON.stringify('SELECT count(*) FROM service_endpoints');
  const json = ['--header', 'content-type: application/json', '--data', count];
  return run(name, 'curl', '--silent', '--show-error', ...json, 'http://127.0.0.1:8080/v1/queries');
}

async function wireguardPeers(name: string): Promise<number> {
  return (await run(name, 'wg', 'show', 'wg0', 'peers')).trim().split('\n').length;
}

async function setHostTtl(value: string): Promise<void> {
  const script = 'echo "COOLD_HOST_TTL=$1" >>/etc/coolify/coold.env; systemctl restart coold';
  await Promise.all(given().reader.eachHost.map(name => run(name, 'sh', '-euc', script, 'sh', value)));
}
