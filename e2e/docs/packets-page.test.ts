// Checks docs/packets.md against its table: a changed row or state has to be measured again.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { grounds } from '../packets/outcomes.ts';
import { describedLines } from '../packets/page.ts';
import { packetTable } from '../packets/table.ts';
import { worlds } from '../packets/world.ts';
import { root } from './tree.ts';

const page = readFileSync(join(root, 'docs/packets.md'), 'utf8').split('\n');
const described = describedLines(packetTable(), worlds);
/** A line of the page begins with the description, and the measurement follows. */
const begins = (line: string, text: string) => line.startsWith(text.slice(0, -1));

it('docs/packets.md has every row and state of the table (npm run e2e -- packets writes it)', () => {
  const missing = described.filter(text => page.filter(line => begins(line, text)).length !== 1);
  expect(missing).toEqual([]);
});

it('docs/packets.md has no row and no state that is not in the table', () => {
  const heads = new Set(['| State ', '| Row ', '| --- ']);
  const strange = page.filter(
    line =>
      line.startsWith('| ') &&
      ![...heads].some(head => line.startsWith(head)) &&
      !described.some(text => begins(line, text)),
  );
  expect(strange).toEqual([]);
});

it('docs/packets.md names every kind of host, and nothing that was not measured there', () => {
  const [head = ''] = page.filter(line => line.startsWith('| State '));
  expect(grounds.filter(({ name }) => !head.includes(`| ${name} |`))).toEqual([]);
  expect(page.filter(line => line.startsWith('| ') && line.includes('| not asked |'))).toEqual([]);
});
