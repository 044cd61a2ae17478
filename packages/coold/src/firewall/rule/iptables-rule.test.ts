import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { anyRule } from '../../../test/rule-examples.ts';
import { iptablesArgs, iptablesLine, readIptablesLine, splitQuoted } from './iptables-rule.ts';
import { commentOf, type Rule, readRule } from './rule.ts';

const chain = 'COOLIFY-ALLOW';
const web = readRule({ src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 });

test('the arguments are those of the contract, in its order', () => {
  expect(iptablesArgs(web).join(' ')).toBe(
    '-s 10.210.5.2 -d 10.210.6.3 -p tcp --dport 80 -m comment --comment cid:644d80ecc835:default -j ACCEPT',
  );
  const any = readRule({ src: '10.0.0.1', dst: '10.0.0.2', namespace: 'shop' });
  expect(iptablesArgs(any).join(' ')).toBe(
    `-s 10.0.0.1 -d 10.0.0.2 -m comment --comment cid:${any.id}:shop -j ACCEPT`,
  );
});

/** How iptables prints one of ours. */
function listed(rule: Rule, counters = ''): string {
  const { src, dst, proto, port } = rule;
  const protocol = proto === '' ? '' : ` -p ${proto}${port === 0 ? '' : ` -m ${proto} --dport ${port}`}`;
  return `-A ${chain} -s ${src}/32 -d ${dst}/32${protocol} -m comment --comment "${commentOf(rule)}"${counters} -j ACCEPT`;
}

describe('what iptables lists', () => {
  it('is parsed back, from the form that is written and the form that is listed', () => {
    fc.assert(
      fc.property(anyRule, fc.nat(), fc.nat(), (rule, packets, bytes) => {
        const standing = { kind: 'rule', rule };
        expect(readIptablesLine(chain, iptablesLine('-A', chain, rule))).toEqual({
          standing,
          counters: undefined,
        });
        expect(readIptablesLine(chain, listed(rule))).toEqual({ standing, counters: undefined });
        expect(readIptablesLine(chain, listed(rule, ` -c ${packets} ${bytes}`))).toEqual({
          standing,
          counters: { packets, bytes },
        });
      }),
    );
  });

  it('keeps an old comment as a rule of namespace default', () => {
    expect(readIptablesLine(chain, listed(web).replace(':default', ''))?.standing).toEqual({
      kind: 'rule',
      rule: web,
    });
  });

  it.each([
    `-A ${chain} -s 10.0.0.0/24 -j ACCEPT`,
    `-A ${chain} -s 10.0.0.1/32 -d 10.0.0.2/32 -m comment --comment "web \\"to\\" db" -j ACCEPT`,
    listed(web).replace('-j ACCEPT', '-j DROP'),
    listed(web).replace('-s ', '! -s '),
    listed(web).replace('-p tcp', '-p tcp -i eth0'),
    listed(web).replace('--dport 80', '--dport 80:90'),
    listed(web).replace('10.210.5.2/32', '10.210.5.0/24'),
    listed(web).replace('644d80ecc835', '644d80ecc836'),
    `${listed(web)} -j ACCEPT`,
    `-A ${chain} -s 10.0.0.1/32 -d "unfinished`,
  ])('is foreign, with its text, when it is not exactly ours: %s', line => {
    expect(readIptablesLine(chain, line)?.standing).toEqual({ kind: 'foreign', text: line });
  });

  it.each(['-N COOLIFY-ALLOW', '-A COOLIFY-ALLOWED -j ACCEPT', '-A FORWARD -j ACCEPT', ''])(
    'is not a rule of the chain: %s',
    line => {
      expect(readIptablesLine(chain, line)).toBeUndefined();
    },
  );
});

test('words are split as iptables quotes them', () => {
  expect(splitQuoted('-m comment --comment "a \\"b\\\\ c" -j X')).toEqual([
    ...['-m', 'comment', '--comment', 'a "b\\ c', '-j', 'X'],
  ]);
  expect(splitQuoted('"')).toBeUndefined();
  const quote = (word: string) => `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), words => {
      expect(splitQuoted(words.map(quote).join(' '))).toEqual(words);
    }),
  );
});
