import { expect, test } from 'vitest';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { elementOf } from '../deny/guard-element.ts';
import { GuardMirror, type GuardTable, guardTables } from './guard-mirror.ts';
import { GuardWork } from './guard-work.ts';
import type { NftEvent } from './monitor/nft-event.ts';

const [guard, bridge] = guardTables;
const [first, second] = [ruleNumber(1), ruleNumber(2)];

/** A mirror with these rules in some tables. */
function mirrorOf(rules: readonly (typeof first)[], tables: readonly GuardTable[] = guardTables) {
  const mirror = new GuardMirror();
  mirror.adopt(new Map(tables.map(table => [table, new Set(rules.map(elementOf))])), []);
  return mirror;
}

const setOf = (table: GuardTable) => {
  const [family = '', name = ''] = table.split(' ');
  return { family, table: name, set: 'allowed_ports' };
};
const event = (kind: 'element added' | 'element deleted', table: GuardTable, rule = first): NftEvent => ({
  kind,
  set: setOf(table),
  flow: rule,
});

test('a rule is in place once every table has its element', () => {
  const mirror = mirrorOf([]);
  expect(mirror.take(event('element added', guard))).toBe('taken');
  expect(mirror.stands(first)).toBe(false);
  expect(mirror.take(event('element added', bridge))).toBe('taken');
  expect(mirror.stands(first)).toBe(true);
  expect([...mirror.flows()]).toHaveLength(1);
  expect(mirror.take(event('element deleted', bridge))).toBe('taken');
  expect(mirror.stands(first)).toBe(false);
});

test('no rule is in place on a host whose tables lack the sets', () => {
  const mirror = new GuardMirror();
  expect(mirror.stands(first)).toBe(false);
  expect(mirror.take(event('element added', guard))).toBe('unclear');
});

test('an element of another form is noticed, and one of another table is not', () => {
  const mirror = mirrorOf([]);
  expect(mirror.take({ kind: 'element added', set: setOf(guard), flow: undefined })).toBe('unclear');
  const elsewhere = { family: 'inet', table: 'other', set: 'allowed_ports' };
  expect(mirror.take({ kind: 'element added', set: elsewhere, flow: first })).toBe('elsewhere');
});

test('a rule in all tables has vanished when one element goes, until it is back', () => {
  const mirror = mirrorOf([first, second]);
  mirror.take(event('element deleted', bridge, second));
  const [family = '', table = ''] = guard.split(' ');
  expect(mirror.take({ kind: 'gone', what: { family, table, name: undefined } })).toBe('unclear');
  expect(mirror.hasVanished(first)).toBe(true);
  expect(mirror.hasVanished(second)).toBe(false);
  mirror.adopt(new Map([[bridge, new Set()]]), []);
  mirror.forgetVanished();
  expect(mirror.isAnyVanished()).toBe(true);
  mirror.adopt(new Map(guardTables.map(name => [name, new Set<string>()])), []);
  mirror.forgetVanished();
  expect(mirror.isAnyVanished()).toBe(false);
});

const change = (kind: 'add' | 'remove', rule = first) => ({
  kind,
  rule,
  iptables: false,
  nft: false,
  guard: true,
  file: false,
});

test('work is what each table lacks, and one element for rules that share it', () => {
  const mirror = mirrorOf([second]);
  mirror.take(event('element added', guard));
  const twin = { ...first, id: 'ffffffffffff', namespace: 'other' };
  const work = new GuardWork([change('add'), change('add', twin), change('remove', second)], mirror);
  expect({ adds: work.adds, removes: work.removes }).toEqual({ adds: 1, removes: 2 });
  expect([...work.script()]).toEqual([
    `delete element ${guard} allowed_ports { ${elementOf(second)} }\n`,
    `delete element ${bridge} allowed_ports { ${elementOf(second)} }\n`,
    `add element ${bridge} allowed_ports { ${elementOf(first)} }\n`,
  ]);
});

test('work is announced once each table reported its first element, and settled without', () => {
  const mirror = mirrorOf([]);
  const work = new GuardWork([change('add'), change('add', second)], mirror);
  mirror.take(event('element added', guard));
  expect(work.isAnnounced()).toBe(false);
  mirror.take(event('element added', bridge));
  expect(work.isAnnounced()).toBe(true);
  expect(mirror.stands(second)).toBe(false);
  work.settle();
  expect(mirror.stands(second)).toBe(true);
});
