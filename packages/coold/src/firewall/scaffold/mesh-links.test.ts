import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';
import { readMeshBridges, readMeshLinks } from './mesh-links.ts';

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

test('the bridges of the mesh are those of networks in its subnets', async () => {
  await using folder = await scratchFolder();
  const network = (name: string, subnet: string) =>
    writeFile(
      join(folder.path, `${name}.json`),
      JSON.stringify({ driver: 'bridge', network_interface: name, subnets: [{ subnet }] }),
    );
  await network('podman3', '10.210.5.0/24');
  await network('podman4', '192.168.7.0/24');
  await network('odd', 'nonsense');
  expect(await readMeshBridges(['10.210.0.0/16'], folder.path)).toEqual(['podman3']);
  expect(await readMeshBridges(['127.0.0.0/8'], folder.path)).toEqual(['lo']);
});
