import { FieldError } from '@coold/proto';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { anyRule } from '../../../test/rule-examples.ts';
import { commentOf, compareRules, readRule, recognise } from './rule.ts';

const web = { src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 };

describe('a flow that is asked for', () => {
  it('has the id that every other program gives it', () => {
    expect(readRule(web)).toEqual({ ...web, id: '644d80ecc835', namespace: 'default' });
    expect(readRule({ ...web, namespace: 'default', id: '644d80ecc835' }).id).toBe('644d80ecc835');
  });

  it('is normalised before it is identified', () => {
    expect(readRule({ ...web, namespace: '', proto: 'TCP', id: '' })).toEqual(readRule(web));
    expect(readRule({ src: '10.0.0.1', dst: '10.0.0.2', proto: '' })).toMatchObject({ proto: '', port: 0 });
  });

  it('may name its own id, which it must have', () => {
    fc.assert(
      fc.property(anyRule, rule => {
        expect(readRule({ ...rule, port: rule.port === 0 ? undefined : rule.port })).toEqual(rule);
      }),
    );
  });
});

const hostile = [
  '10.0.0.1; iptables -F',
  '10.0.0.1\n-j ACCEPT',
  '$(reboot)',
  '"',
  '\u0000',
  '-j',
  '--',
  '{ }',
  "'",
  'a b',
];

test.each([
  ...['::1', 'fe80::1%eth0', '::ffff:10.0.0.1', '10.210.5.0/24', '10.210.5.2/32', 'db.internal', '10.1'],
  ...[
    '010.0.0.1',
    '0x0a.0.0.1',
    '167772161',
    '0.0.0.0',
    '',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10.0.0.256',
    '１0.0.0.1',
  ],
  ...hostile,
])('an address %j is refused', address => {
  expect(() => readRule({ ...web, src: address })).toThrow(expect.objectContaining({ field: 'src' }));
  expect(() => readRule({ ...web, dst: address }, 'add[7]')).toThrow(
    expect.objectContaining({ field: 'add[7].dst' }),
  );
});

test.each([['TCP '], ['icmp'], ['sctp'], ['6'], ['all'], ['tcp,udp'], ...hostile.map(text => [text])])(
  'the protocol %j is refused',
  proto => {
    expect(() => readRule({ ...web, proto })).toThrow(expect.objectContaining({ field: 'proto' }));
  },
);

test.each([0, -1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('the port %d is refused', port => {
  expect(() => readRule({ ...web, port })).toThrow(expect.objectContaining({ field: 'port' }));
});

test('a port without a protocol is refused', () => {
  expect(() => readRule({ ...web, proto: '' })).toThrow(expect.objectContaining({ field: 'port' }));
});

test.each([
  ['Shop'],
  ['a'.repeat(64)],
  ['-a'],
  ['a-'],
  ['a_b'],
  ['a.b'],
  ['a:b'],
  ['ü'],
  ...hostile.map(t => [t]),
])('the namespace %j is refused', namespace => {
  expect(() => readRule({ ...web, namespace })).toThrow(expect.objectContaining({ field: 'namespace' }));
});

test.each([
  ['644d80ecc83'],
  ['644D80ECC835'],
  ['644d80ecc8355'],
  ['644d80ecc836'],
  ...hostile.map(text => [text]),
])('the id %j is refused', id => {
  expect(() => readRule({ ...web, id })).toThrow(expect.objectContaining({ field: 'id' }));
});

test('whatever text is given is refused by its field, or is a rule', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.ipV6());
  fc.assert(
    fc.property(text, text, text, text, text, (src, dst, proto, namespace, id) => {
      expect(() => readRule({ src, dst, proto, namespace, id })).toThrow(FieldError);
    }),
  );
});

describe('a rule in the kernel', () => {
  it('is known by its comment, the old form without a namespace too', () => {
    const rule = readRule(web);
    expect(recognise({ ...web, comment: 'cid:644d80ecc835' })).toEqual(rule);
    expect(recognise({ ...web, comment: 'cid:644d80ecc835:default' })).toEqual(rule);
    fc.assert(
      fc.property(anyRule, any => {
        expect(recognise({ ...any, comment: commentOf(any) })).toEqual(any);
      }),
    );
  });

  it.each([
    ['', 'no comment'],
    ['cid:644d80ecc836', 'another id'],
    ['cid:644d80ecc835:shop', 'another namespace'],
    ['cid:644d80ecc835:default:x', 'more'],
    ['CID:644d80ecc835', 'another mark'],
    ['web to db', 'somebody’s words'],
  ])('with %j is somebody else’s: %s', comment => {
    expect(recognise({ ...web, comment })).toBeUndefined();
  });
});

test('the order is by namespace, then by id', () => {
  fc.assert(
    fc.property(anyRule, anyRule, (a, b) => {
      const key = (rule: typeof a) => `${rule.namespace}\u0000${rule.id}`;
      expect(compareRules(a, b) < 0).toBe(key(a) < key(b));
      expect(compareRules(a, b) === 0).toBe(key(a) === key(b));
    }),
  );
});
