import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';
import { readMeshLinks } from './mesh-links.ts';

test('the bridges of Podman’s networks and of our subnets are known, and whatever else there is does no harm', async () => {
  await using folder = await scratchFolder();
  const file = (name: string, text: string) => writeFile(join(folder.path, name), text);
  await file('shop.json', '{"driver":"bridge","network_interface":"podman3"}');
  await file('lan.json', '{"driver":"macvlan","network_interface":"eth0"}');
  await file('odd.json', '{"driver":"bridge","network_interface":"a b\\"; drop"}');
  await file('half.json', '{"driver":');
  await file('netavark.lock', '');
  expect(await readMeshLinks([], folder.path)).toEqual(['podman0', 'podman3']);
  expect(await readMeshLinks(['127.0.0.0/8'], folder.path)).toEqual(['lo', 'podman0', 'podman3']);
  expect(await readMeshLinks([], join(folder.path, 'nosuch'))).toEqual(['podman0']);
});
