import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRule } from '../../../test/rule-examples.ts';
import { nftLine, readNftLine } from './nft-rule.ts';
import { readRule } from './rule.ts';

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
