import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { prepareSnapshotFolders } from './snapshot-folders.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coold-snapshots-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('folders that are missing are made', async () => {
  const rulesPath = join(folder, 'some/where/allow.rules');
  await prepareSnapshotFolders({ rulesPath, bridgeRulesPath: join(folder, 'else/allow.nft') });
  expect(statSync(join(folder, 'some/where')).isDirectory()).toBe(true);
  expect(statSync(join(folder, 'else')).isDirectory()).toBe(true);
});

test('one that cannot be written to is a bad value, with what to do', async () => {
  const file = join(folder, 'a-file');
  writeFileSync(file, '');
  const [rulesPath, bridgeRulesPath] = [join(folder, 'allow.rules'), join(folder, 'allow.nft')];
  await expect(prepareSnapshotFolders({ rulesPath: join(file, 'x'), bridgeRulesPath })).rejects.toThrow(
    /^COOLD_RULES_PATH=".*": expected a file in a folder that coold can write to \(E\w+\).*install\.sh/,
  );
  // The kernel's own folder is read-only for everyone, root too.
  await expect(prepareSnapshotFolders({ rulesPath, bridgeRulesPath: '/proc/sys/allow.nft' })).rejects.toThrow(
    'COOLD_BRIDGE_RULES_PATH="/proc/sys/allow.nft"',
  );
});
