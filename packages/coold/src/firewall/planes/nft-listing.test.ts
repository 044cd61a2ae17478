import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyRule } from '../../../test/rule-examples.ts';
import { standingOf } from '../rule/nft-rule.ts';
import { commentOf, type Rule, readRule } from '../rule/rule.ts';
import { createListingReader, type ListedRule, type Listing } from './nft-listing.ts';

const web = readRule({ src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 });
const place = 'bridge coolify_bridge';

function read(text: string): Listing | undefined {
  const reader = createListingReader(place);
  for (const line of text.split('\n')) reader.take(line);
  return reader.end();
}

const table = (...blocks: string[]) => `table ${place} { # handle 2\n${blocks.join('\n\n')}\n}\n`;
const chain = (name: string, ...lines: string[]) =>
  [`\tchain ${name} { # handle 3`, ...lines.map(line => `\t\t${line}`), '\t}'].join('\n');

const addresses = ({ src, dst }: Rule) => `ip saddr ${src} ip daddr ${dst}`;
const protocolOf = ({ proto, port }: Rule) => {
  if (proto === '') return '';
  return port === 0 ? ` ip protocol ${proto}` : ` ip protocol ${proto} ${proto} dport ${port}`;
};
/** How nft lists one of ours. */
const listed = (rule: Rule) =>
  `${addresses(rule)}${protocolOf(rule)} accept comment "${commentOf(rule)}" # handle 7`;

function only(...lines: string[]): ListedRule {
  const rules = read(table(chain('coolify_allow', ...lines)))?.chains.get('coolify_allow');
  const [rule] = rules ?? [];
  if (rule === undefined || rules?.length !== 1) throw new Error(`not one rule: ${JSON.stringify(rules)}`);
  return rule;
}

describe('a listed rule', () => {
  it('is read back, with its handle', () => {
    fc.assert(
      fc.property(anyRule, rule => {
        const found = only(listed(rule));
        expect(found.handle).toBe(7);
        expect(standingOf(found)).toEqual({ kind: 'rule', rule });
      }),
    );
  });

  it('may be worded otherwise by another version', () => {
    const words = `meta protocol ip ${addresses(web)} meta l4proto tcp th dport 80 accept`;
    expect(standingOf(only(`${words} comment "${commentOf(web)}" # handle 7`))).toEqual({
      kind: 'rule',
      rule: web,
    });
  });

  it('has the flow of a rule of iptables, whose comment nft does not show', () => {
    const flow = { src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80, comment: '' };
    for (const words of [
      'tcp dport 80  counter packets 5 bytes 300 accept',
      'tcp dport 80 xt match "comment" counter packets 5 bytes 300 accept',
    ])
      expect(only(`${addresses(web)} ${words} # handle 7`).flow, words).toEqual(flow);
  });

  it('is foreign when it matches or does anything else, and is named by its words', () => {
    const ours = listed(web).replace(/ # handle 7$/, '');
    for (const words of [
      ours.replace('accept', 'drop'),
      ours.replace('accept', 'accept accept'),
      `iifname "eth0" ${ours}`,
      ours.replace('10.210.5.2', '10.0.0.0/8'),
      ours.replace('saddr', 'saddr !='),
      `xt match "limit" ${ours}`,
      'accept',
      ours.replace(commentOf(web), 'by hand'),
      'log prefix "two\nlines" accept',
    ])
      expect(standingOf(only(`${words} # handle 7`)), words).toEqual({ kind: 'foreign', text: words });
  });
});

describe('a listing', () => {
  it('has the rules of each chain and the elements of each set', () => {
    const found = read(
      table(
        [
          '\tset allowed_ports { # handle 1',
          '\t\ttype ipv4_addr . ipv4_addr . inet_proto . inet_service',
          '\t\telements = { 10.0.0.1 . 10.0.0.2 . tcp . 80,',
          '\t\t\t     10.0.0.1 . 10.0.0.2 . udp . 53 }',
          '\t}',
        ].join('\n'),
        '\tset allowed_hosts { # handle 4\n\t\ttype ipv4_addr . ipv4_addr\n\t}',
        '\tset one { # handle 5\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.9 comment "joined" }\n\t}',
        chain(
          'forward',
          'comment "what passes"',
          'type filter hook forward priority filter; policy accept;',
          'jump coolify_allow # handle 8',
        ),
        chain('coolify_allow', listed(web), 'drop # handle 9'),
      ),
    );
    expect(Object.fromEntries(found?.sets ?? [])).toEqual({
      allowed_ports: ['10.0.0.1 . 10.0.0.2 . tcp . 80', '10.0.0.1 . 10.0.0.2 . udp . 53'],
      allowed_hosts: [],
      one: ['10.0.0.9 comment "joined"'],
    });
    expect(found?.chains.get('forward')).toMatchObject([{ handle: 8, text: 'jump coolify_allow' }]);
    expect(found?.chains.get('coolify_allow')?.map(({ handle }) => handle)).toEqual([7, 9]);
  });

  it('is refused when it ends early or is of another table', () => {
    const whole = table(chain('coolify_allow', listed(web)));
    expect(read(whole)).toBeDefined();
    for (const end of [0, 10, whole.length - 3])
      expect(read(whole.slice(0, end)), String(end)).toBeUndefined();
    expect(read(whole.replace('bridge', 'inet'))).toBeUndefined();
    expect(read('{"nftables": []}')).toBeUndefined();
  });

  it('may be any text', () => {
    const line = fc.constantFrom(
      `table ${place} {`,
      '\tchain x {',
      '\tset s {',
      '\t\telements = { a, b }',
      '}',
      '\t}',
    );
    fc.assert(fc.property(fc.array(fc.oneof(line, fc.string())), lines => void read(lines.join('\n'))));
  });
});
