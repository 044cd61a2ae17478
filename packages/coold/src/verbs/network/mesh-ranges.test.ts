import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';
import { isOfOtherHost, noRanges, rangeClaims, readMeshRanges } from './mesh-ranges.ts';
import { collision } from './subnet-claims.ts';

test('the pools of mesh.env are taken but for this host’s subnets, whether or not there are routes', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'mesh.env');
  expect(await readMeshRanges(path, undefined)).toEqual(noRanges);
  await writeFile(path, 'COOLD_SCAFFOLD_SUBNETS=10.210.5.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n');
  const ranges = await readMeshRanges(path, '10.210.64.0/20');
  const claims = rangeClaims(ranges);
  expect(collision('10.210.6.0/24', claims)?.holder).toContain('COOLD_SCAFFOLD_POOLS');
  expect(collision('100.64.3.0/24', claims)?.holder).toContain('COOLD_SCAFFOLD_MGMT_NETWORKS');
  expect(collision('10.210.5.0/24', claims)).toBeUndefined();
  expect(collision('10.210.66.0/24', claims)).toBeUndefined();
  expect(collision('192.168.60.0/24', claims)).toBeUndefined();
  expect(['10.210.6.1', '100.64.0.2'].map(address => isOfOtherHost(address, ranges))).toEqual([true, true]);
  expect(['10.210.5.1', '127.0.0.1', '0.0.0.0'].map(address => isOfOtherHost(address, ranges))).toEqual([
    ...[false, false, false],
  ]);
  expect(isOfOtherHost('100.64.0.2', { ...ranges, own: ['100.64.0.2'] })).toBe(false);
});
