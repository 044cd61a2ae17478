import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyRule, ruleNumber } from '../../../test/rule-examples.ts';
import { createJournal, readJournal, renderJournal } from './journal.ts';

const anyChange = fc.record({
  kind: fc.constantFrom('add' as const, 'remove' as const),
  rule: anyRule,
  iptables: fc.boolean(),
  nft: fc.boolean(),
  guard: fc.boolean(),
  file: fc.boolean(),
});
const change = {
  kind: 'add' as const,
  rule: ruleNumber(1),
  iptables: true,
  nft: true,
  guard: true,
  file: true,
};

test('what is begun is read back', () => {
  fc.assert(
    fc.property(fc.array(anyChange), changes => {
      expect(readJournal(renderJournal(changes))).toEqual(changes);
    }),
  );
});

test('is left as what it was last: to complete, to undo, or nothing', async () => {
  await using folder = await scratchFolder();
  const journal = createJournal(join(folder.path, 'allow.pending'));
  expect(await journal.read()).toBeUndefined();
  await journal.begin([change]);
  expect(await journal.read()).toEqual({ direction: 'complete', changes: [change] });
  await journal.giveUp();
  expect(await journal.read()).toEqual({ direction: 'undo', changes: [change] });
  await journal.forget();
  expect(await journal.read()).toBeUndefined();
  await journal.begin([change]);
  await journal.finish();
  expect(await readdir(folder.path)).toEqual([]);
});

test('one that cannot be read is put aside whole, and what was never finished is swept', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'allow.pending');
  const journal = createJournal(path);
  await writeFile(join(folder.path, '.allow.pending.0123456789ab.tmp'), '{"ver');
  await writeFile(path, renderJournal([change]).replace(change.rule.src, '10.9.9.9'));
  await expect(journal.read()).rejects.toThrow('changes[0].id');
  expect(await journal.putAside()).toBe(`${path}.damaged`);
  expect(await journal.read()).toBeUndefined();
  expect(await readdir(folder.path)).toEqual(['allow.pending.damaged']);
  expect(await readFile(`${path}.damaged`, 'utf8')).toContain('10.9.9.9');
});
