import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { anyRule } from '../../../test/rule-examples.ts';
import { compareRules, type Rule, readRule } from '../rule/rule.ts';
import {
  changeSnapshot,
  iptablesSnapshot,
  nftSnapshot,
  readIptablesSnapshot,
  readNftSnapshot,
  type Snapshot,
  SnapshotError,
} from './snapshot.ts';

const chain = 'COOLIFY-ALLOW';
const renderSnapshot = (snapshot: Snapshot) => ({
  iptables: [...iptablesSnapshot(snapshot, chain)].join(''),
  nft: [...nftSnapshot(snapshot)].join(''),
});
const of = (rules: readonly Rule[]) => changeSnapshot([], { add: rules, remove: new Set() });
const web = readRule({ src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 });
const any = readRule({ src: '10.210.5.2', dst: '10.210.6.4', namespace: 'shop' });
const dns = readRule({ src: '10.210.5.2', dst: '10.210.6.4', proto: 'udp', namespace: 'shop' });

test('both files are as the contract has them, to the byte', () => {
  const [first, second] = [any, dns].sort(compareRules);
  const line = (rule: Rule | undefined) =>
    rule === dns
      ? `-A COOLIFY-ALLOW -s 10.210.5.2 -d 10.210.6.4 -p udp -m comment --comment cid:${dns.id}:shop -j ACCEPT`
      : `-A COOLIFY-ALLOW -s 10.210.5.2 -d 10.210.6.4 -m comment --comment cid:${any.id}:shop -j ACCEPT`;
  const { iptables, nft } = renderSnapshot(of([dns, web, any]));
  expect(iptables).toBe(
    [
      '*filter',
      ':COOLIFY-ALLOW -',
      '# namespace: default',
      '-A COOLIFY-ALLOW -s 10.210.5.2 -d 10.210.6.3 -p tcp --dport 80 -m comment --comment cid:644d80ecc835:default -j ACCEPT',
      '# namespace: shop',
      line(first),
      line(second),
      'COMMIT',
      '',
    ].join('\n'),
  );
  expect(nft.split('\n')).toHaveLength(5);
  expect(nft.split('\n').slice(0, 2)).toEqual([
    'flush chain bridge coolify_bridge coolify_allow',
    'add rule bridge coolify_bridge coolify_allow meta protocol ip ip saddr 10.210.5.2 ip daddr 10.210.6.3 ip protocol tcp th dport 80 accept comment "cid:644d80ecc835:default"',
  ]);
});

test('without rules they still declare and empty their chains', () => {
  expect(renderSnapshot([])).toEqual({
    iptables: '*filter\n:COOLIFY-ALLOW -\nCOMMIT\n',
    nft: 'flush chain bridge coolify_bridge coolify_allow\n',
  });
});

test('what is written is read back, in order, whatever changes led to it', () => {
  const rules = fc.array(anyRule, { maxLength: 40 });
  fc.assert(
    fc.property(rules, rules, fc.array(fc.nat(39)), (first, second, gone) => {
      const remove = new Set(gone.flatMap(index => first[index]?.id ?? []));
      const changed = changeSnapshot(of(first), { add: second, remove });
      const wanted = new Map(first.filter(({ id }) => !remove.has(id)).map(rule => [rule.id, rule]));
      for (const rule of second) wanted.set(rule.id, rule);
      const { iptables, nft } = renderSnapshot(changed);
      const sorted = [...wanted.values()].sort(compareRules);
      expect(readIptablesSnapshot(iptables, chain)).toEqual(sorted);
      expect(readNftSnapshot(nft)).toEqual(sorted);
      expect(renderSnapshot(of(sorted))).toEqual({ iptables, nft });
    }),
  );
});

describe('a file that is not whole, or that somebody edited', () => {
  const { iptables, nft } = renderSnapshot(of([web, any]));

  it('is refused wherever it was cut', () => {
    for (let length = 0; length < iptables.length; length += 1)
      expect(() => readIptablesSnapshot(iptables.slice(0, length), chain), `${length}`).toThrow(
        SnapshotError,
      );
  });

  it('is refused where a line of the other was cut; whole lines that are missing are found by comparing', () => {
    for (let length = 0; length < nft.length; length += 1) {
      if (length > 0 && nft[length - 1] === '\n') continue;
      expect(() => readNftSnapshot(nft.slice(0, length)), `${length}`).toThrow(SnapshotError);
    }
  });

  it.each([
    ['line 4', iptables.replace('-j ACCEPT', '-j DROP')],
    ['line 4', iptables.replace('# namespace: default\n', '# namespace: default\n-A INPUT -j ACCEPT\n')],
    ['line 2', iptables.replace(':COOLIFY-ALLOW', ':OTHER')],
    ['line 8', `${iptables}*nat\n`],
    ['line 1', `-F\n${iptables}`],
  ])('is refused at %s', (line, text) => {
    expect(() => readIptablesSnapshot(text, chain)).toThrow(line);
  });

  it('is refused for commands that a snapshot has not', () => {
    expect(() => readNftSnapshot(`${nft}flush ruleset\n`)).toThrow('line 4');
    expect(() => readNftSnapshot(nft.split('\n').slice(1).join('\n'))).toThrow('line 1');
  });

  it('may have comments, and be one that iptables-save wrote', () => {
    const saved = iptables.replace(' -\n', ' - [0:0]\n').replaceAll('-s 10.210.5.2 ', '-s 10.210.5.2/32 ');
    expect(readIptablesSnapshot(`# Generated\n${saved}# Completed\n`, chain)).toEqual([web, any]);
  });
});
