import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createRun, deadRuns } from './run.ts';

function temporaryRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'coold-run-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  return root;
}

test('the run of a living process is not dead, and run names are unique', () => {
  const root = temporaryRoot();
  const [one, two] = [createRun(root), createRun(root)];
  expect(one.id).not.toBe(two.id);
  expect(readdirSync(root).sort()).toEqual([one.id, two.id].sort());
  expect(deadRuns(root)).toEqual([]);
});

test('a run whose pid is gone or reused is dead; other folders are left alone', () => {
  const root = temporaryRoot();
  const reused = `${process.pid}-1-abcdef`;
  const gone = '4194305-77-abcdef';
  for (const name of [reused, gone, 'notes']) mkdirSync(join(root, name));
  expect(
    deadRuns(root)
      .map(run => run.id)
      .sort(),
  ).toEqual([gone, reused].sort());
  expect(deadRuns(join(root, 'none'))).toEqual([]);
});
