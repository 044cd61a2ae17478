import { expect, test } from 'vitest';
import { nothing, renderIptables, renderNft, type Scaffold } from '../deny/scaffold.ts';
import { joinGuard, joinIptables, joinNft } from './join.ts';

const scaffold: Scaffold = {
  subnets: ['10.210.0.0/24'],
  pools: ['10.210.0.0/16'],
  joined: [],
  mgmtNetworks: [],
  apiPorts: [],
  wgInterface: 'wg9',
  chainName: 'COOLIFY-ALLOW',
};
const hook = '-A FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA';
const leave = '-A POSTROUTING -s 10.210.0.0/16 -o wg9 -j RETURN';
const joinedHook = '-d 10.99.0.0/24 -m comment --comment joined -j COOLIFY-INTRA';
const asked = ['udp', 'tcp'].map(
  proto =>
    `-s 10.99.0.0/24 -d 10.99.0.0/24 -p ${proto} -m ${proto} --dport 53 -m comment --comment coolify-dns -j ACCEPT`,
);
const joinedEgress = '-s 10.99.0.0/24 -m comment --comment coolify-egress-joined -j ACCEPT';
const scaffolded = { forward: ['-P FORWARD ACCEPT', hook], postrouting: [leave], input: [] };
const joined = {
  forward: [`-A FORWARD ${joinedHook}`, hook, '-A FORWARD -j NETAVARK_FORWARD', `-A FORWARD ${joinedEgress}`],
  postrouting: ['-A POSTROUTING -s 10.99.0.0/24 -o wg9 -j RETURN', leave],
  input: asked.map(rule => `-A INPUT ${rule}`),
};

test('a subnet outside of every pool gets a hook on top, and leaves by the mesh un-NATed', () => {
  expect(joinIptables(['10.99.0.0/24'], scaffolded)).toBe(`*filter
-I FORWARD 1 ${joinedHook}
-I FORWARD 3 ${joinedEgress}
${asked.map(rule => `-I INPUT 1 ${rule}\n`).join('')}COMMIT
*nat
-I POSTROUTING 1 -s 10.99.0.0/24 -o wg9 -j RETURN
COMMIT
`);
});

test('what has joined is left alone, and taken out again without a word of the configured networks', () => {
  expect(joinIptables(['10.99.0.0/24'], joined)).toBe('');
  expect(joinIptables([], joined)).toBe(`*filter
-D FORWARD ${joinedHook}
-D FORWARD ${joinedEgress}
${asked.map(rule => `-D INPUT ${rule}\n`).join('')}COMMIT
*nat
-D POSTROUTING -s 10.99.0.0/24 -o wg9 -j RETURN
COMMIT
`);
});

test('a subnet within a pool, or the pool itself, needs no hook of its own, and takes none with it when it goes', () => {
  for (const subnet of ['10.210.7.0/24', '10.210.0.0/16'])
    expect(joinIptables([subnet], scaffolded)).toBe(
      `*filter\n-I FORWARD 2 ${joinedEgress.replace('10.99.0.0/24', subnet)}\nCOMMIT\n`,
    );
  expect(joinIptables([], scaffolded)).toBe('');
});

test('a permissive host stays one', () => {
  expect(
    joinIptables(['10.99.0.0/24'], { forward: ['-A FORWARD -j DOCKER'], postrouting: [], input: [] }),
  ).toBe('');
});

test('a scaffold that somebody else worded otherwise gets the hook too', () => {
  const forward = ['-A FORWARD -i podman+ -j COOLIFY-INTRA', '-A FORWARD -j NETAVARK_FORWARD'];
  expect(joinIptables(['10.99.0.0/24'], { forward, postrouting: [], input: [] })).toBe(
    `*filter\n-I FORWARD 1 ${joinedHook}\n-I FORWARD 2 ${joinedEgress}\n${asked.map(rule => `-I INPUT 1 ${rule}\n`).join('')}COMMIT\n`,
  );
});

test('a scaffold that is created anew has the joined subnets, with the same hooks as joining creates', () => {
  const text = renderIptables({ ...scaffold, joined: ['10.210.7.0/24', '10.99.0.0/24'] }, nothing);
  expect(text.split('\n').filter(line => line.startsWith('-I'))).toEqual([
    '-I FORWARD 1 -d 10.210.0.0/16 -j COOLIFY-INTRA',
    `-I FORWARD 2 ${joinedHook}`,
    '-I FORWARD 3 -s 10.210.0.0/24 -m comment --comment coolify-egress -j ACCEPT',
    `-I FORWARD 4 ${joinedEgress}`,
    `-I FORWARD 5 ${joinedEgress.replace('10.99.0.0', '10.210.7.0')}`,
    ...['10.210.0.0/16', '10.99.0.0/24'].flatMap((network, index) =>
      asked.map((rule, at) => `-I INPUT ${2 * index + at + 1} ${rule.replaceAll('10.99.0.0/24', network)}`),
    ),
    '-I POSTROUTING 1 -s 10.210.0.0/16 -o wg9 -j RETURN',
    '-I POSTROUTING 2 -s 10.99.0.0/24 -o wg9 -j RETURN',
  ]);
});

test.each(['forward', 'both'] as const)(
  'in the bridged plane every joined subnet has rules of its own (%s)',
  chains => {
    const lines = joinNft(['10.210.7.0/24'], [], chains);
    expect(lines.match(/^add rule .* comment "joined:10.210.7.0\/24"$/gm)).toHaveLength(
      chains === 'both' ? 3 : 2,
    );
    // The same that the scaffold itself puts in.
    const whole = renderNft({ ...scaffold, joined: ['10.210.7.0/24'] }, chains === 'forward', []);
    for (const line of lines.trimEnd().split('\n')) expect(whole).toContain(`\n${line}\n`);
  },
);

test('of the bridged plane’s rules those of what left go, and those that are half there are made whole', () => {
  const rule = (handle: number, comment: string) => ({ chain: 'forward', handle, comment });
  const whole = [rule(7, 'joined:10.99.0.0/24'), rule(8, 'joined:10.99.0.0/24')];
  const gone = [rule(9, 'joined:10.98.0.0/24'), rule(10, 'somebody else’s')];
  expect(joinNft(['10.99.0.0/24'], [...whole, ...gone], 'forward')).toBe(
    'delete rule bridge coolify_bridge forward handle 9\n',
  );
  const text = joinNft(['10.99.0.0/24'], whole.slice(1), 'forward');
  expect(text.split('\n')[0]).toBe('delete rule bridge coolify_bridge forward handle 8');
  expect(text.match(/^add rule/gm)).toHaveLength(2);
});

test('in the guard, joined subnets are separate elements next to the configured ones, which always stay', () => {
  const configured = [{ network: '10.210.0.0/24', isJoined: false }];
  const set = 'inet coolify_guard local_subnets';
  const own = joinGuard(['10.99.0.0/24', '10.210.0.128/25'], configured);
  expect(own).toBe(`flush set ${set}\nadd element ${set} { 10.99.0.0/24 comment "joined", 10.210.0.0/24 }\n`);
  const both = [...configured, { network: '10.99.0.0/24', isJoined: true }];
  expect(joinGuard(['10.99.0.0/24'], both)).toBe('');
  expect(joinGuard([], both)).toBe(`flush set ${set}\nadd element ${set} { 10.210.0.0/24 }\n`);
  // One that reaches around a configured one does not take its place: it would take it along when it leaves.
  expect(joinGuard(['10.210.0.0/23'], configured)).toContain(
    '{ 10.210.0.0/24, 10.210.1.0/24 comment "joined" }',
  );
});
