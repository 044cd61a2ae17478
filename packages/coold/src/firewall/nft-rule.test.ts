import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { nftLine, readNftLine, readNftRule, standingOf } from './nft-rule.ts';
import { commentOf, type Rule, readRule } from './rule.ts';
import { anyRule } from './rule-examples.ts';

const web = readRule({ src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 });

test('the line is that of the contract', () => {
  expect(nftLine(web)).toBe(
    'add rule bridge coolify_bridge coolify_allow meta protocol ip ip saddr 10.210.5.2 ip daddr 10.210.6.3 ip protocol tcp th dport 80 accept comment "cid:644d80ecc835:default"',
  );
});

test('a line is read back, and only when it is exactly one of ours', () => {
  fc.assert(
    fc.property(anyRule, rule => {
      expect(readNftLine(nftLine(rule))).toEqual(rule);
    }),
  );
  const line = nftLine(web);
  for (const other of [
    '',
    `${line} `,
    line.replace('accept', 'drop'),
    line.replace('80', '080'),
    line.replace('644d80ecc835', '644d80ecc836'),
    line.replace(':default', ''),
  ])
    expect(readNftLine(other), other).toBeUndefined();
});

const match = (left: object, right: unknown) => ({ match: { op: '==', left, right } });
const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });

/** How nft lists one of ours. */
function listed(rule: Rule): { expr: unknown[] } & Record<string, unknown> {
  const { src, dst, proto, port } = rule;
  return {
    ...{
      family: 'bridge',
      table: 'coolify_bridge',
      chain: 'coolify_allow',
      handle: 7,
      comment: commentOf(rule),
    },
    expr: [
      match(payload('ip', 'saddr'), src),
      match(payload('ip', 'daddr'), dst),
      ...(proto === '' ? [] : [match(payload('ip', 'protocol'), proto)]),
      ...(port === 0 ? [] : [match(payload(proto, 'dport'), port)]),
      { accept: null },
    ],
  };
}
const standing = (value: unknown) => {
  const rule = readNftRule(value);
  return rule && standingOf(rule);
};

describe('what nft lists', () => {
  it('is read back as the rule, with its handle', () => {
    fc.assert(
      fc.property(anyRule, rule => {
        expect(readNftRule(listed(rule))).toMatchObject({ handle: 7, chain: 'coolify_allow' });
        expect(standing(listed(rule))).toEqual({ kind: 'rule', rule });
      }),
    );
  });

  it('may be worded otherwise by another version', () => {
    const { expr, ...rest } = listed(web);
    const worded = [match({ meta: { key: 'protocol' } }, 'ip'), ...expr.slice(0, 2)];
    const port = match(payload('th', 'dport'), 80);
    const l4proto = match({ meta: { key: 'l4proto' } }, 'tcp');
    expect(standing({ ...rest, expr: [...worded, l4proto, port, { accept: null }] })).toEqual({
      kind: 'rule',
      rule: web,
    });
  });

  it('has the flow of a rule of iptables, whose comment it does not show', () => {
    const { expr, comment: _, ...rest } = listed(web);
    const counter = { counter: { packets: 5, bytes: 300 } };
    const xt = { xt: { type: 'match', name: 'comment' } };
    expect(
      readNftRule({ ...rest, expr: [...expr.slice(0, -1), xt, counter, { accept: null }] })?.flow,
    ).toEqual({
      ...{ src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80, comment: '' },
    });
  });

  it('is foreign when it matches or does anything else', () => {
    const { expr, ...rest } = listed(web);
    const others = [
      [...expr.slice(0, -1), { drop: null }],
      [...expr, { accept: null }],
      [match({ meta: { key: 'iifname' } }, 'eth0'), ...expr],
      [match(payload('ip', 'saddr'), { prefix: { addr: '10.0.0.0', len: 8 } }), ...expr.slice(1)],
      [{ match: { op: '!=', left: payload('ip', 'saddr'), right: '10.210.5.2' } }, ...expr.slice(1)],
      [{ xt: { type: 'match', name: 'limit' } }, ...expr],
      ['nonsense'],
      [],
    ];
    for (const expr of others)
      expect(standing({ ...rest, expr }), JSON.stringify(expr)).toMatchObject({ kind: 'foreign' });
    expect(standing({ ...rest, expr, comment: 'by hand' })).toMatchObject({ kind: 'foreign' });
  });

  it('is nothing when it is not a rule', () => {
    for (const value of [null, 5, 'x', [], {}, { family: 'bridge' }, { ...listed(web), handle: '7' }])
      expect(readNftRule(value)).toBeUndefined();
  });
});
