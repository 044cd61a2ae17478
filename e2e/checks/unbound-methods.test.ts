import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findUnboundMethods } from './unbound-methods.ts';

const folder = mkdtempSync(join(tmpdir(), 'coold-unbound-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Declarations of the methods that the tests use. */
const declarations = `
interface Closing { close(): void }
interface Held extends Closing { readonly name: string }
class Poll implements Held {
  name = 'poll';
  close(): void { this.name = ''; }
  ready = (): void => this.close();
  static open(): Poll { return new Poll(); }
}
interface Timer { stop(): void }
const timer: Timer = { stop() {} };
const poll = new Poll();
const held: Held = poll;
declare function take(...functions: unknown[]): void;
take(timer, poll, held);
`;

const sound = [
  ['a call', 'poll.close(); held?.close();'],
  ['a method that is bound', 'take(poll.close.bind(poll));'],
  ['a method that is replaced', 'poll.close = () => {};'],
  ['an arrow function in a field', 'take(poll.ready); const { ready } = poll; take(ready);'],
  ['a static method', 'take(Poll.open);'],
  ['a function of an object literal', 'take(timer.stop, { ...timer }); const { stop } = timer; take(stop);'],
] as const;

const misused = [
  ['a method of a class', 'take(poll.close);', 'poll.close'],
  ['a method of an interface that a class implements by another', 'take(held.close);', 'held.close'],
  ['a value in an object', 'take({ end: poll.close });', 'poll.close'],
  ['what a pattern takes out', 'const { close, name } = poll; take(close, name);', 'close'],
  ['what a pattern renames', 'const { close: end } = held; take(end);', 'close: end'],
  ['what a parameter takes out', 'take(({ close }: Poll) => close);', 'close'],
  ['a spread, which loses methods', 'take({ ...poll });', 'poll'],
] as const;

// One search covers all cases, one file each, because starting the compiler takes longest.
let found: string[] = [];
beforeAll(() => {
  const files: string[] = [];
  for (const [i, [, line]] of [...misused, ...sound].entries()) {
    writeFileSync(join(folder, `${i}.ts`), `${declarations}${line}\nexport {};\n`);
    files.push(`${i}.ts`);
  }
  const compilerOptions = { strict: true, target: 'esnext', module: 'nodenext', types: [] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  found = findUnboundMethods(join(folder, 'tsconfig.json'));
});

it.each(misused.map(([title, , text], i) => ({ title, text, i })))('finds $title', ({ text, i }) => {
  const line = declarations.split('\n').length;
  expect(found.filter(told => told.startsWith(`${i}.ts:`))).toEqual([`${i}.ts:${line}: ${text}`]);
});

it.each(sound.map(([title], i) => ({ title, i: misused.length + i })))('leaves alone $title', ({ i }) => {
  expect(found.filter(told => told.startsWith(`${i}.ts:`))).toEqual([]);
});
