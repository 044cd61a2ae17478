import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';
import { readDesiredScaffold } from './desired-scaffold.ts';

test('the scaffold is made of the networks in mesh.env; without subnets there is none', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'mesh.env');
  expect(await readDesiredScaffold(path)).toEqual({ kind: 'none' });
  await writeFile(path, '# nothing yet\nCOOLD_SCAFFOLD_SUBNETS=\n');
  expect(await readDesiredScaffold(path)).toEqual({ kind: 'none' });
  await writeFile(path, 'COOLD_SCAFFOLD_SUBNETS="10.210.0.0/24"\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n');
  expect(await readDesiredScaffold(path)).toMatchObject({
    kind: 'named',
    scaffold: {
      subnets: ['10.210.0.0/24'],
      pools: ['10.210.0.0/16'],
      chainName: 'COOLIFY-ALLOW',
      wgInterface: 'wg0',
      joinedPath: '/etc/coolify/joined.subnets',
    },
  });
});

test('an unusable file is not taken for one without networks', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'mesh.env');
  await writeFile(path, 'COOLD_SCAFFOLD_SUBNETS=10.210.0.1/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n');
  expect(await readDesiredScaffold(path)).toEqual({
    kind: 'unusable',
    why: expect.stringContaining('COOLD_SCAFFOLD_SUBNETS="10.210.0.1/24"'),
  });
  await writeFile(path, 'COOLD_SCAFFOLD_SUBNETS=10.210.0.0/24\n');
  expect(await readDesiredScaffold(path)).toMatchObject({
    kind: 'unusable',
    why: expect.stringContaining('COOLD_SCAFFOLD_POOLS'),
  });
  // The unit passes it over as that of a permissive host, though its operator meant something to be denied.
  await writeFile(path, 'COOLD_SCAFFOLD_SUBNETS=\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n');
  expect(await readDesiredScaffold(path)).toMatchObject({
    kind: 'unusable',
    why: expect.stringContaining('COOLD_SCAFFOLD_SUBNETS is not'),
  });
  await mkdir(join(folder.path, 'folder'));
  expect(await readDesiredScaffold(join(folder.path, 'folder'))).toMatchObject({ kind: 'unusable' });
});
