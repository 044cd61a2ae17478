import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createHeldLines } from './held-lines.ts';

const read: string[] = [];
const taken = () => read.splice(0);
const lines = (...of: string[]) => Buffer.from(of.map(line => `${line}\n`).join(''));

test('lines are read as they come, whole, wherever they are cut', async () => {
  const held = createHeldLines(line => read.push(line));
  const all = lines('one', 'zwei – drei', '', 'four');
  for (const byte of all) held.take(Buffer.from([byte]));
  await until(() => read.length === 4);
  expect(taken()).toEqual(['one', 'zwei – drei', '', 'four']);
});

test('while they are held back nothing is read, and afterwards everything in order', async () => {
  const held = createHeldLines(line => read.push(line));
  held.hold();
  held.take(lines('a'));
  held.take(lines('b', 'c'));
  await nextTurn();
  expect(taken()).toEqual([]);
  held.release();
  held.take(lines('d'));
  await until(() => read.length === 4);
  expect(taken()).toEqual(['a', 'b', 'c', 'd']);
});

test('no more than so much is kept', async () => {
  const held = createHeldLines(line => read.push(line), 4);
  held.hold();
  held.take(lines('a', 'b'));
  await nextTurn();
  expect(taken()).toEqual([]);
  held.take(lines('c'));
  await until(() => read.length === 3);
  expect(taken()).toEqual(['a', 'b', 'c']);
  held.take(lines('d'));
  await nextTurn();
  expect(taken()).toEqual([]);
});

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !isSo(); turn += 1) await nextTurn();
}
