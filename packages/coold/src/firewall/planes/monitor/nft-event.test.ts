import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { anyRule } from '../../../../test/rule-examples.ts';
import { commentOf, type Rule } from '../../rule/rule.ts';
import { type NftEvent, readNftEvent } from './nft-event.ts';

const names = ['COOLIFY-ALLOW', 'coolify_bridge'];
const read = (line: string) => readNftEvent(line, names, ['FORWARD']);
const routed = 'add rule ip filter COOLIFY-ALLOW';
const bridged = 'add rule bridge coolify_bridge coolify_allow';

const protocolOf = ({ proto, port }: Rule) => {
  if (proto === '') return '';
  return port === 0 ? ` ip protocol ${proto}` : ` ip protocol ${proto} ${proto} dport ${port}`;
};

describe('a rule that was added', () => {
  it('to the bridged plane says all of itself', () => {
    fc.assert(
      fc.property(anyRule, fc.nat(), (rule, handle) => {
        const { id: _, namespace: __, ...flow } = rule;
        const line = `${bridged} handle 5 ip saddr ${rule.src} ip daddr ${rule.dst}${protocolOf(rule)} accept comment "${commentOf(rule)}" # handle ${handle}`;
        const place = { family: 'bridge', table: 'coolify_bridge', chain: 'coolify_allow', handle };
        expect(read(line)).toEqual({
          kind: 'rule added',
          place,
          flow: { ...flow, comment: commentOf(rule) },
        });
      }),
    );
  });

  it('to the routed plane does not show its comment', () => {
    const flow = { src: '10.0.0.1', dst: '10.0.0.2', proto: 'tcp', port: 80, comment: '' };
    const addresses = 'ip saddr 10.0.0.1 ip daddr 10.0.0.2';
    const place = { family: 'ip', table: 'filter', chain: 'COOLIFY-ALLOW', handle: 9 };
    for (const words of [
      `${addresses} tcp dport 80  counter packets 0 bytes 0 accept`,
      `handle 8 meta l4proto tcp ${addresses} th dport 80 xt match "comment" counter packets 12 bytes 3 accept`,
      `position 8 ${addresses} tcp dport 80 xt match comment accept`,
    ])
      expect(read(`${routed} ${words} # handle 9`), words).toEqual({ kind: 'rule added', place, flow });
    expect(read(`insert rule ip filter COOLIFY-ALLOW ${addresses} accept # handle 9`)).toEqual({
      kind: 'rule added',
      place,
      flow: { ...flow, proto: '', port: 0 },
    });
  });

  it('has no flow when it matches or does anything else', () => {
    const addresses = 'ip saddr 10.0.0.1 ip daddr 10.0.0.2';
    for (const words of [
      `${addresses} drop`,
      `${addresses}`,
      `${addresses} accept accept`,
      `accept ${addresses}`,
      `iifname "eth0" ${addresses} accept`,
      `${addresses} ip saddr 10.0.0.3 accept`,
      `${addresses} ip daddr 10.0.0.3 accept`,
      `${addresses} ip protocol udp tcp dport 80 accept`,
      `${addresses} tcp dport 80 tcp dport 81 accept`,
      `${addresses} tcp dport 80-90 accept`,
      `${addresses} tcp sport 80 accept`,
      `${addresses} meta protocol ip6 accept`,
      `${addresses} xt match "limit" accept`,
      `${addresses} counter accept`,
      `${addresses} accept comment "a" b"`,
      `${addresses} accept comment ""`,
    ])
      expect(read(`${bridged} ${words} # handle 3`), words).toMatchObject({
        kind: 'rule added',
        flow: undefined,
      });
    expect(read(`${bridged} ip saddr != 10.0.0.1 ip daddr 10.0.0.2 accept # handle 3`)).toMatchObject({
      flow: undefined,
    });
  });
});

test('a deleted rule reports where it was', () => {
  expect(read('delete rule ip filter COOLIFY-ALLOW handle 7')).toEqual({
    kind: 'rule deleted',
    place: { family: 'ip', table: 'filter', chain: 'COOLIFY-ALLOW', handle: 7 },
  });
});

test('an element says which flow it allows, and what went says its name', () => {
  const set = { family: 'bridge', table: 'coolify_bridge', set: 'allowed_ports' };
  const flow = { src: '10.0.0.1', dst: '10.0.0.2', proto: 'tcp', port: 80 };
  const line = 'element bridge coolify_bridge allowed_ports { 10.0.0.1 . 10.0.0.2 . tcp . 80 }';
  expect(read(`add ${line}`)).toEqual({ kind: 'element added', set, flow });
  expect(read(`delete ${line}`)).toEqual({ kind: 'element deleted', set, flow });
  expect(read('add element bridge coolify_bridge coolify_replies { 10.0.0.1 . 1 . 10.0.0.2 . 2 }')).toEqual({
    kind: 'element added',
    flow: undefined,
    set: { ...set, set: 'coolify_replies' },
  });
  const gone = (text: string) => read(`delete ${text}`);
  const [family, table] = ['bridge', 'coolify_bridge'];
  expect(gone('table bridge coolify_bridge # handle 3')).toEqual({
    kind: 'gone',
    what: { family, table, name: undefined },
  });
  expect(gone('chain bridge coolify_bridge coolify_allow')).toEqual({
    kind: 'gone',
    what: { family, table, name: 'coolify_allow' },
  });
});

test('chains and tables, what others do, and what cannot be read', () => {
  const table: [string, NftEvent['kind'] | undefined][] = [
    ['create chain ip filter COOLIFY-ALLOW # handle 8', 'structure'],
    ['delete chain bridge coolify_bridge coolify_allow', 'gone'],
    ['delete table bridge coolify_bridge # handle 3', 'gone'],
    ['delete set bridge coolify_bridge allowed_hosts', 'gone'],
    ['add set bridge coolify_bridge allowed_ports { # handle 1 type ipv4_addr . ipv4_addr; }', 'structure'],
    ['add element bridge coolify_bridge allowed_hosts { 1.2.3.4 . 1.2.3.5 }', 'element added'],
    ['delete element bridge coolify_bridge allowed_hosts { 1.2.3.4 . 1.2.3.5 }', 'element deleted'],
    ['replace element bridge coolify_bridge allowed_hosts { 1.2.3.4 . 1.2.3.5 }', 'gap'],
    ['add set bridge coolify_bridge s { # handle 1 type ipv4_addr; }', undefined],
    [
      'add chain ip filter FORWARD { type filter hook forward priority filter; policy accept; } # handle 9',
      'elsewhere',
    ],
    ['insert rule ip filter FORWARD counter packets 0 bytes 0 accept # handle 10', 'elsewhere'],
    ['delete rule ip filter FORWARD handle 10', 'elsewhere'],
    ['add rule ip filter OTHER counter packets 0 bytes 0 jump COOLIFY-ALLOW # handle 10', undefined],
    ['add element inet zz s { 1.2.3.4 }', undefined],
    ['# new generation 29 by process 20706 (nft)', 'transaction'],
    ['', undefined],
    ['add table bridge coolify_proof # handle 4', undefined],
    ['delete table bridge coolify_proof # handle 4', 'caught up'],
    ['y"; } ', undefined],
    ['y" COOLIFY-ALLOW', 'gap'],
    ['# ERROR: We lost some netlink events!', 'gap'],
    ['replace rule ip filter COOLIFY-ALLOW handle 7 drop', 'gap'],
    ['delete rule ip filter COOLIFY-ALLOW', 'gap'],
    [`${routed} accept`, 'gap'],
    [`${routed} accept # handle x`, 'gap'],
  ];
  for (const [line, kind] of table) expect(read(line)?.kind, line).toBe(kind);
});

test('no line does harm', () => {
  const words = fc.constantFrom(
    'add',
    'rule',
    'ip',
    'filter',
    'COOLIFY-ALLOW',
    'saddr',
    '# handle 3',
    'accept',
    '"',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(words).map(all => all.join(' ')),
      ),
      line => {
        read(line);
      },
    ),
  );
});
