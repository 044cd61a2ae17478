// What coold put into the packet filter, taken out of a real one. Needs root.
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { acquireFileLock } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { createNetns, type Netns } from '@coold/testbed/netns';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { iptablesArgs } from '../rule/iptables-rule.ts';
import { nftLine } from '../rule/nft-rule.ts';

const coold = fileURLToPath(new URL('../../main.ts', import.meta.url));
let cleanup: AsyncDisposableStack;
let netns: Netns;
let folder: string;
beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  folder = cleanup.use(await scratchFolder()).path;
  netns = await createNetns();
  cleanup.defer(() => netns.close());
});
afterEach(() => cleanup.disposeAsync());

const iptables = async (...args: string[]) => (await netns.exec('iptables', args)).stdout;
const nft = async (...args: string[]) => (await netns.exec('nft', args)).stdout;
const run = (args: string[], mayFail = false, path = process.env['PATH'] ?? '') =>
  netns.exec(process.execPath, [coold, ...args], {
    mayFail,
    env: {
      PATH: path,
      COOLD_SCAFFOLD_SUBNETS: '10.210.0.0/24',
      COOLD_SCAFFOLD_POOLS: '10.210.0.0/16',
      COOLD_RULES_PATH: join(folder, 'allow.rules'),
      COOLD_MESH_ENV: join(folder, 'mesh.env'),
    },
  });
const teardown = (mayFail = false) => run(['firewall', 'teardown'], mayFail);

/** Everything in the packet filter, without what differs from one listing to the next. */
async function everything(): Promise<string> {
  const tables = ['filter', 'nat'].map(table => iptables('-t', table, '-S'));
  const others = ['bridge', 'inet'].map(family => nft('list', 'tables', family));
  return [...(await Promise.all([...tables, ...others]))].join('');
}

/** Rules of an operator beside ours. */
async function operator(): Promise<void> {
  await iptables('-A', 'FORWARD', '-s', '192.0.2.1/32', '-j', 'DROP');
  await iptables('-t', 'nat', '-A', 'POSTROUTING', '-s', '192.168.5.0/24', '-o', 'wg0', '-j', 'RETURN');
  await nft('add', 'table', 'bridge', 'theirs');
}

async function allowBoth(): Promise<void> {
  await iptables('-A', 'COOLIFY-ALLOW', ...iptablesArgs(ruleNumber(1)));
  await nft(...nftLine(ruleNumber(1)).split(' '));
}

test('everything of ours goes and everything else stays, also when it is done again', async () => {
  await operator();
  const before = await everything();
  await run(['scaffold', '--apply']);
  await allowBoth();
  expect(await everything()).not.toBe(before);
  expect((await teardown()).code).toBe(0);
  expect(await everything()).toBe(before);
  expect((await teardown()).stderr).toContain('had nothing of ours');
  expect(await everything()).toBe(before);
});

const machinery = async () => {
  const saved = await Promise.all([
    netns.exec('iptables-save', []),
    netns.exec('ip6tables-save', []),
    netns.exec('iptables-legacy-save', []),
    netns.exec('nft', ['list', 'ruleset']),
    netns.exec('conntrack', ['-L']),
    netns.exec('ip', ['address', 'show']),
    netns.exec('sysctl', ['-a']),
  ]);
  const text = saved.map(({ stdout }) => stdout).join('');
  // Times, counters and sizes that change by themselves.
  const unsteady = /^(# (Generated|Completed).*|net\.netfilter\.nf_conntrack_count.*|(?!net\.).* = .*)\n/gm;
  return text.replaceAll(unsteady, '').replaceAll(/\[\d+:\d+\]/g, '');
};

test.each(['nft', 'legacy'] as const)(
  'with iptables-%s nothing of ours is left in any table, conntrack, sysctl or address',
  async variant => {
    await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
    const bin = join(folder, 'bin');
    await mkdir(bin);
    for (const program of ['iptables', 'iptables-restore'])
      await symlink(`/usr/sbin/${program.replace('iptables', `iptables-${variant}`)}`, join(bin, program));
    const path = `${bin}:${process.env['PATH']}`;
    const tool = (program: string, ...args: string[]) => netns.exec(join(bin, program), args);
    // What iptables itself makes with the first rule of a chain, and leaves.
    for (const [table, chain] of [
      ['filter', 'FORWARD'],
      ['filter', 'INPUT'],
      ['nat', 'POSTROUTING'],
    ] as const)
      for (const verb of ['-A', '-D']) await tool('iptables', '-t', table, verb, chain, '-j', 'RETURN');
    const before = await machinery();
    await run(['scaffold', '--apply'], false, path);
    await tool('iptables', '-A', 'COOLIFY-ALLOW', ...iptablesArgs(ruleNumber(1)));
    await nft(...nftLine(ruleNumber(1)).split(' '));
    // What a builder has.
    await nft('add', 'table', 'inet', 'coolify_build');
    const comment = [
      '-m',
      'comment',
      '--comment',
      'builds: judged by nft table inet coolify_build',
      '-j',
      'ACCEPT',
    ];
    await tool('iptables', '-A', 'FORWARD', '-i', 'coolbuild+', ...comment);
    await tool('iptables', '-A', 'INPUT', '-i', 'coolbuild+', ...comment);
    await netns.exec('ip', ['address', 'add', '240.0.0.1/32', 'dev', 'lo']);
    // A build that still runs keeps what judges it.
    await netns.exec('ip', ['link', 'add', 'coolbuild1', 'type', 'bridge']);
    expect((await run(['firewall', 'teardown'], false, path)).stderr).toContain('builds run');
    expect(await nft('list', 'tables', 'inet')).toBe('table inet coolify_build\n');
    await netns.exec('ip', ['link', 'del', 'coolbuild1']);
    await run(['firewall', 'teardown'], false, path);
    expect(await machinery()).toBe(before);
  },
  60_000,
);

test('rules that somebody else put into our chains stay, and so do those chains', async () => {
  await run(['scaffold', '--apply']);
  await allowBoth();
  await iptables('-A', 'COOLIFY-ALLOW', '-s', '10.9.9.9/32', '-j', 'ACCEPT');
  await nft(...'add rule bridge coolify_bridge coolify_allow ip saddr 10.9.9.9 accept'.split(' '));
  await teardown();
  expect(await iptables('-S', 'COOLIFY-ALLOW')).toBe(
    '-N COOLIFY-ALLOW\n-A COOLIFY-ALLOW -s 10.9.9.9/32 -j ACCEPT\n',
  );
  expect(await iptables('-S')).not.toContain('COOLIFY-INTRA');
  const left = await nft('list', 'table', 'bridge', 'coolify_bridge');
  expect(left).toContain('10.9.9.9');
  expect(left).not.toMatch(/cid:|hook|set /);
  expect(await nft('list', 'tables', 'inet')).toBe('');
});

test('the file that asks for a default deny is removed first, or the deny would be restored', async () => {
  const text = 'COOLD_SCAFFOLD_SUBNETS=10.210.0.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n';
  await writeFile(join(folder, 'mesh.env'), text);
  const before = await everything();
  await run(['scaffold', '--apply']);
  expect((await teardown()).stderr).toContain('mesh.env.removed');
  expect(await everything()).toBe(before);
  expect(await readdir(folder)).toContain('mesh.env.removed');
  expect(await readdir(folder)).not.toContain('mesh.env');
  expect(await readFile(join(folder, 'mesh.env.removed'), 'utf8')).toBe(text);
  // One that names nothing stays.
  await writeFile(join(folder, 'mesh.env'), '# nothing\n');
  await teardown();
  expect(await readdir(folder)).toContain('mesh.env');
});

test('a chain that somebody else leads to stays, empty', async () => {
  await run(['scaffold', '--apply']);
  await allowBoth();
  await iptables('-A', 'INPUT', '-j', 'COOLIFY-ALLOW');
  await teardown();
  expect(await iptables('-S', 'COOLIFY-ALLOW')).toBe('-N COOLIFY-ALLOW\n');
});

test('it refuses while coold runs, and says what it expects', async () => {
  await writeFile(join(folder, 'allow.rules'), '');
  const lock = await acquireFileLock(join(folder, 'allow.lock'));
  const refused = await teardown(true);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('another coold') });
  await lock?.release();
  expect(await run(['firewall'], true)).toMatchObject({
    code: 2,
    stderr: 'coold firewall: expected "teardown"\n',
  });
});
