import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { foreignBridge, scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import {
  foreignDeviations,
  isSwitchedOff,
  leftHooks,
  parseForeignScaffold,
  readForeignScaffold,
  renderForeignBridge,
  renderForeignIptables,
} from './foreign-scaffold.ts';

const subnets = ['10.210.0.0/24', '10.210.16.0/24'];
const scaffold = parseForeignScaffold(foreignBridge(subnets, true));

const filter = [
  '-P FORWARD ACCEPT',
  '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  ...subnets.flatMap(subnet => ['-d', '-s'].map(side => `-A FORWARD ${side} ${subnet} -j COOLIFY-INTRA`)),
  '-A COOLIFY-INTRA -j COOLIFY-ALLOW',
  '-A COOLIFY-INTRA -j DROP',
  '-N COOLIFY-ALLOW',
];
const forward = [
  'type filter hook forward priority filter; policy accept;',
  'meta protocol != ip accept',
  'ct state established,related accept',
  'ip saddr { 10.210.0.0/24, 10.210.16.0/24 } jump coolify_intra',
  'ip daddr { 10.210.0.0/24, 10.210.16.0/24 } jump coolify_intra',
];
const intra = ['jump coolify_allow', 'drop'];

const present = (lines: readonly string[], chains?: { forward: string[]; intra: string[] }) => ({
  iptables: { filter: lines, postrouting: [] },
  tables: {
    guard: undefined,
    bridge: chains && {
      head: [],
      parts: new Map([
        ['chain forward', chains.forward],
        ['chain coolify_intra', chains.intra],
      ]),
    },
  },
});

describe("the file of coolify init's bridged plane", () => {
  it('returns the subnets that are denied', () => {
    expect(scaffold.subnets).toEqual(subnets);
  });

  it.each([
    ['another table', 'flush ruleset\n'],
    ['another program', `${foreignBridge(subnets, true)}include "/tmp/x"\n`],
    ['the allow rules', `${foreignBridge(subnets, true)}flush chain bridge coolify_bridge coolify_allow\n`],
  ])('is not run when it is about %s', (_, text) => {
    expect(() => parseForeignScaffold(text)).toThrow('expected a line about the chains of table');
  });

  it.each([
    ['no subnet', 'add table bridge coolify_bridge\n'],
    ['what is no network', foreignBridge(['10.210.0.1/24'], true)],
  ])('is not understood with %s', (_, text) => {
    expect(() => parseForeignScaffold(text)).toThrow('expected an IPv4 network');
  });

  it('a missing file is no scaffold, and an invalid one is named', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'bridge-fw.nft');
    expect(await readForeignScaffold(path)).toBeUndefined();
    await writeFile(path, 'nonsense\n');
    await expect(readForeignScaffold(path)).rejects.toThrow(`${path}: "nonsense"`);
    await writeFile(path, foreignBridge(subnets, true));
    expect(await readForeignScaffold(path)).toEqual(scaffold);
  });
});

describe('what the kernel lacks', () => {
  it('finds nothing when all is there, also with rules of others and of coold in between', () => {
    const beside = ['-A FORWARD -j NETAVARK_FORWARD', ...filter, '-A FORWARD -s 10.210.0.0/24 -j ACCEPT'];
    expect(foreignDeviations(scaffold, present(beside, { forward, intra }))).toEqual([]);
    expect(foreignDeviations(scaffold, present(filter, { forward: [...forward, 'counter'], intra }))).toEqual(
      [],
    );
  });

  it.each([
    [
      'a hook',
      filter.filter(line => line !== '-A FORWARD -d 10.210.16.0/24 -j COOLIFY-INTRA'),
      { forward, intra },
      'for 10.210.16.0/24',
    ],
    ['the drop', filter.filter(line => !line.endsWith('DROP')), { forward, intra }, 'chain COOLIFY-INTRA'],
    [
      'nothing, but an accept is before the drop',
      filter.flatMap(line => (line.endsWith('DROP') ? ['-A COOLIFY-INTRA -j ACCEPT', line] : [line])),
      { forward, intra },
      'chain COOLIFY-INTRA',
    ],
    ['the table', filter, undefined, 'table bridge coolify_bridge of nftables'],
    ['the drop of the bridged plane', filter, { forward, intra: ['jump coolify_allow'] }, 'rules of table'],
    ['the way to it', filter, { forward: forward.slice(0, -1), intra }, 'rules of table'],
    ['its place', filter, { forward: forward.slice(1), intra }, 'rules of table'],
  ] as const)('is %s', (_, lines, chains, why) => {
    const copy = chains && { forward: [...chains.forward], intra: [...chains.intra] };
    expect(foreignDeviations(scaffold, present(lines, copy))).toEqual([
      { text: expect.stringContaining(why), isSure: true, isOfTables: why.includes('table') },
    ]);
  });
});

describe('a rule by hand in the bridged plane', () => {
  const withRule = (rule: string, at: number) =>
    foreignDeviations(scaffold, present(filter, { forward: forward.toSpliced(at, 0, rule), intra }));

  it.each([
    'ip saddr 10.210.0.5 accept',
    'accept',
    'counter packets 0 bytes 0 accept comment "mine"',
    'ip daddr 10.210.0.5 return',
    'goto elsewhere',
  ])('is told where it lets packets pass before the deny: %s', rule => {
    for (const at of [1, 3, 4])
      expect(withRule(rule, at)).toEqual([
        { text: expect.stringContaining(rule), isSure: true, isOfTables: true },
      ]);
  });

  it('is not, where it opens nothing', () => {
    expect(withRule('ip saddr 10.210.0.5 drop', 1)).toEqual([]);
    expect(withRule('ip saddr 10.210.0.5 accept', forward.length)).toEqual([]);
    expect(withRule('ct state related,established accept', 1)).toEqual([]);
    expect(withRule('tcp flags & (syn | ack) != syn accept', 2)).toEqual([]);
  });
});

describe('what is restored', () => {
  it('is all of it where nothing is, and the allow rules stay', () => {
    const hooks = subnets.flatMap(subnet =>
      ['-d', '-s'].map(side => `-A FORWARD ${side} ${subnet} -j COOLIFY-INTRA`),
    );
    expect(renderForeignIptables(scaffold, [])).toBe(
      [
        ...['*filter', ':COOLIFY-INTRA - [0:0]', '-N COOLIFY-ALLOW'],
        ...['-A COOLIFY-INTRA -j COOLIFY-ALLOW', '-A COOLIFY-INTRA -j DROP'],
        '-I FORWARD 1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        ...hooks,
        ...['COMMIT', ''],
      ].join('\n'),
    );
    expect(renderForeignBridge(scaffold)).toContain('add chain bridge coolify_bridge coolify_allow\n');
    expect(renderForeignBridge(scaffold)).not.toContain('flush chain bridge coolify_bridge coolify_allow');
  });

  it('has no rule twice', () => {
    expect(renderForeignIptables(scaffold, filter)).not.toMatch(/FORWARD|-N/);
  });
});

describe('hooks that a scaffold of ours has left', () => {
  const left = (...rules: string[]) =>
    leftHooks(scaffold, [...filter, ...rules.map(rule => `-A FORWARD ${rule}`)]);

  it('are those of pools around its subnets', () => {
    expect(left('-d 10.210.0.0/16 -j COOLIFY-INTRA')).toEqual(['-d 10.210.0.0/16 -j COOLIFY-INTRA']);
  });

  it('leaves out its own hooks, also of former subnets, and rules of others', () => {
    expect(left()).toEqual([]);
    expect(
      left(
        ...['-d 10.210.32.0/24 -j COOLIFY-INTRA', '-s 10.210.32.0/24 -j COOLIFY-INTRA'],
        ...['-d 10.210.0.0/17 -j COOLIFY-INTRA', '-s 10.210.0.0/17 -j COOLIFY-INTRA'],
        '-d 10.210.0.0/16 -j ACCEPT',
      ),
    ).toEqual([]);
  });
});

describe('when the CLI was told to deny nothing', () => {
  const guard = {
    head: [],
    parts: new Map([['set local_subnets', ['type ipv4_addr', 'flags interval', ...subnets]]]),
  };
  const open = subnets.flatMap(subnet => ['-s', '-d'].map(side => `-A FORWARD ${side} ${subnet} -j ACCEPT`));

  it('is recognised by the rules that replace its hooks', () => {
    expect(isSwitchedOff(open, guard)).toBe(true);
  });

  it.each([
    ['one subnet is still denied', open.slice(1), guard],
    ['a hook is there', [...open, ...filter], guard],
    ['there is no guard', open, undefined],
    ['nothing accepts', [], guard],
    [
      'the guard names nothing',
      open,
      { head: [], parts: new Map([['set local_subnets', ['type ipv4_addr']]]) },
    ],
  ])('is not said where %s', (_, forward, given) => {
    expect(isSwitchedOff(forward, given)).toBe(false);
  });
});
