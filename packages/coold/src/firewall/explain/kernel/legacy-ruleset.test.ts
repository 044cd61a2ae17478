import { expect, test } from 'vitest';
import type { XtTable } from '../../netlink/xt-socket.ts';
import { addressBytes } from '../../rule/cidr.ts';
import { describeRule } from '../packet/describe-rule.ts';
import { readLegacyTable } from './legacy-ruleset.ts';

// The kernel's own tables are read in explain-flow.long.test.ts and explain-packets.long.test.ts.

const [source, destination] = [addressBytes('10.210.0.2'), addressBytes('10.210.1.2')];
const everyBit = [0xff, 0xff, 0xff, 0xff] as const;

interface Entry {
  source?: readonly number[];
  destination?: readonly number[];
  mask?: readonly number[];
  flags?: number;
  inverted?: number;
  /** The name of its target, and what is inside. */
  target: string;
  data: Buffer;
}

function encode({ source: from, destination: to, mask = everyBit, flags, inverted, target, data }: Entry) {
  const bytes = Buffer.alloc(112 + 32 + data.length);
  if (from !== undefined) {
    bytes.set(from, 0);
    bytes.set(mask, 8);
  }
  if (to !== undefined) {
    bytes.set(to, 4);
    bytes.set(mask, 12);
  }
  bytes[82] = flags ?? 0;
  bytes[83] = inverted ?? 0;
  bytes.writeUInt16LE(112, 88);
  bytes.writeUInt16LE(bytes.length, 90);
  bytes.writeUInt16LE(32 + data.length, 112);
  bytes.write(target, 114, 'latin1');
  data.copy(bytes, 144);
  return bytes;
}

function verdict(code: number): Pick<Entry, 'target' | 'data'> {
  const data = Buffer.alloc(8);
  data.writeInt32LE(code, 0);
  return { target: '', data };
}

const named = (name: string) => ({ target: 'ERROR', data: Buffer.from(name.padEnd(32, '\0')) });
const [accept, drop, returns] = [verdict(-2), verdict(-1), verdict(-5)];
const standard = 152;

/** FORWARD goes to a chain of its own, of which one rule is another packet's; its policy is to drop. */
function table(flags = 0): XtTable {
  const chainAt = 2 * standard + 176;
  const entries = [
    encode({ flags, ...verdict(chainAt) }),
    encode(drop),
    encode(named('OWN')),
    encode({ source: [...source], destination: [...destination], ...accept }),
    encode({ source: [10, 9, 9, 9], ...drop }),
    encode({ destination: [10, 210, 0, 0], mask: [255, 255, 0, 0], inverted: 16, ...drop }),
    encode({ source: [10, 0, 0, 0], mask: [255, 128, 0, 0], inverted: 8, ...drop }),
    encode(returns),
    encode(named('ERROR')),
  ];
  const hooks = (at: number) => [undefined, undefined, at, undefined, undefined];
  return { table: 'filter', entries: hooks(0), policies: hooks(standard), rules: Buffer.concat(entries) };
}

test('chains, policies and the rules that may be the packet’s are read', () => {
  const { baseChains, rules } = readLegacyTable(table(), source, destination);
  expect(baseChains).toMatchObject([{ chain: 'FORWARD', hook: 2, priority: 0, policy: 'drop' }]);
  const words = Object.fromEntries([...rules].map(([chain, some]) => [chain, some.map(describeRule)]));
  expect(words).toEqual({
    FORWARD: ['jump OWN'],
    // What ends the chain is no rule of it.
    OWN: [
      'ip saddr 10.210.0.2 ip daddr 10.210.1.2 accept',
      'ip daddr != 10.210.0.0/16 drop',
      'ip saddr & 0xff800000 != 10.0.0.0 drop',
    ],
  });
  expect(readLegacyTable(table(2), source, destination).rules.get('FORWARD')?.map(describeRule)).toEqual([
    'goto OWN',
  ]);
});

test('behind a chain that may have given it another source, rules of any source are', () => {
  const { rules } = readLegacyTable({ ...table(), table: 'mangle' }, source, destination);
  expect(rules.get('OWN')).toHaveLength(4);
});

test('a table that is cut off or spoilt is refused, and never read beyond its end', () => {
  const whole = table();
  for (let length = 1; length < whole.rules.length; length += 1) {
    const cut = { ...whole, rules: whole.rules.subarray(0, length) };
    try {
      readLegacyTable(cut, source, destination);
    } catch (error) {
      expect(error).toMatchObject({ message: 'a table of iptables-legacy is not as the kernel writes it' });
    }
  }
  for (const at of [88, 90, 112])
    for (const value of [0, 1, 111, 0xffff]) {
      const rules = Buffer.from(whole.rules);
      rules.writeUInt16LE(value, at);
      expect(() => readLegacyTable({ ...whole, rules }, source, destination)).toThrow('not as the kernel');
    }
});
