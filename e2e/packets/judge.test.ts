import { expect, test } from 'vitest';
import { judge, verdictIn } from './judge.ts';
import type { Observation } from './measure.ts';
import type { Packet, Row } from './row.ts';
import { packetTable } from './table.ts';
import { type WorldName, worlds } from './world.ts';

const world = (name: WorldName) => {
  const found = worlds.find(it => it.name === name);
  if (found === undefined) throw new Error(`no world ${name}`);
  return found;
};
const row = (id: string) => {
  const found = packetTable().find(it => it.id === id);
  if (found === undefined) throw new Error(`no row ${id}`);
  return found;
};
const way = (packet: Packet): Row => ({
  id: 'x',
  group: 'Allow rules',
  from: 'a/default',
  to: 'b/alpha',
  packet,
  verdict: 'passes',
  why: '',
});
const own = '10.210.0.2';
const seen = (more: Partial<Observation> = {}): Observation => ({
  result: { answered: false },
  arrived: [],
  arrivedBack: [],
  inTheClear: [],
  own,
  changed: undefined,
  end: 100,
  ...more,
});
const arrival = (first: number, last: number) => ({
  number: 1,
  space: 'b/alpha',
  source: own,
  target: '10.210.17.2',
  first,
  last,
  count: 3,
});

test('a rule that was never written, or was revoked, allows nothing', () => {
  expect(verdictIn(row('rule-on-both'), world('fresh'))).toBe('passes');
  expect(verdictIn(row('rule-on-both'), world('nothing allowed'))).toBe('dropped');
  expect(verdictIn(row('published-tcp'), world('nothing allowed'))).toBe('passes');
});

test('without wg0, exactly the packets to the other host are dropped', () => {
  expect(verdictIn(row('rule-on-both'), world('wg0 down'))).toBe('dropped');
  expect(verdictIn(row('bulk-within'), world('wg0 down'))).toBe('passes');
  expect(verdictIn(row('published-far'), world('wg0 down'))).toBe('passes');
});

test('floods and open connections are tested only in states with a change', () => {
  expect(verdictIn(row('flood-within'), world('fresh'))).toBeUndefined();
  expect(verdictIn(row('flood-within'), world('coold restarted'))).toBe('dropped');
  expect(verdictIn(row('held-tcp-within'), world('revoked while open'))).toBe('dropped');
  expect(verdictIn(row('held-tcp-within'), world('coold restarted'))).toBe('passes');
});

test('a passed packet is answered, and keeps its source address on the way to another host', () => {
  const tcp = way({ kind: 'tcp', port: 1 });
  expect(judge(tcp, 'passes', seen({ result: { answered: true, peer: own } }))).toBeUndefined();
  expect(judge(tcp, 'passes', seen({ result: { answered: true, peer: '100.64.0.1' } }))).toContain(
    '100.64.0.1',
  );
  expect(judge(tcp, 'passes', seen({ arrived: [arrival(1, 1)] }))).toBe('arrived, and had no answer');
  expect(judge(tcp, 'passes', seen({ result: { answered: false, error: 'no route' } }))).toContain(
    'no route',
  );
});

test('a dropped packet does not arrive', () => {
  const udp = way({ kind: 'udp', port: 1 });
  expect(judge(udp, 'dropped', seen())).toBeUndefined();
  expect(judge(udp, 'dropped', seen({ arrived: [arrival(1, 1)] }))).toBe(`passed, 3 packets as from ${own}`);
  expect(judge(udp, 'dropped', seen({ inTheClear: [arrival(1, 1)] }))).toContain('in the clear');
});

test('when both ends send first and are dropped, neither hears the other', () => {
  const both = way({ kind: 'both first' });
  expect(judge(both, 'dropped', seen())).toBeUndefined();
  expect(judge(both, 'dropped', seen({ arrivedBack: [arrival(1, 1)] }))).toBe(
    `passed, 3 packets as from ${own}`,
  );
});

test('a connection whose rule is revoked was open, and ends in both directions', () => {
  const held = way({ kind: 'held', proto: 'tcp', port: 1 });
  const changed = 50;
  expect(judge(held, 'dropped', seen({ changed, arrived: [arrival(40, 50.1)] }))).toBeUndefined();
  expect(judge(held, 'dropped', seen({ changed, arrived: [arrival(40, 60)] }))).toBe('went on for 10.0 s');
  expect(
    judge(held, 'dropped', seen({ changed, arrived: [arrival(40, 50)], arrivedBack: [arrival(40, 55)] })),
  ).toBe('went on for 5.0 s');
  expect(judge(held, 'dropped', seen({ changed }))).toBe('was not open before the change');
});

test('a connection whose rule stays goes on in both directions', () => {
  const held = way({ kind: 'held', proto: 'udp', port: 1 });
  const on = arrival(40, 99.9);
  expect(judge(held, 'passes', seen({ arrived: [on], arrivedBack: [on] }))).toBeUndefined();
  expect(judge(held, 'passes', seen({ arrived: [on], arrivedBack: [arrival(40, 60)] }))).toBe(
    'had no more answers',
  );
  expect(judge(held, 'passes', seen())).toBe('did not arrive');
});
