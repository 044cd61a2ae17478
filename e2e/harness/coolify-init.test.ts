// The real `coolify` cannot be had here: a program in its place takes its arguments, and the hosts were joined before.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { joinByCoolify } from './coolify-init.ts';
import { createLab } from './lab/lab.ts';
import { joinMesh, type MeshHost } from './mesh.ts';
import type { Provider } from './provider.ts';

let lab: Provider;
let joined: MeshHost[];
beforeAll(async () => {
  lab = await createLab();
  joined = await joinMesh(await lab.up(['a', 'b']), ['default', 'alpha']);
}, 60_000);
afterAll(() => lab?.close(), 30_000);

test('coolify is given the servers, and what it left on them is read back', async () => {
  await using folder = await scratchFolder();
  const [bin, seen] = [join(folder.path, 'coolify'), join(folder.path, 'seen')];
  await writeFile(bin, `#!/bin/sh\nprintf '%s\\n' "$@" >${seen}\n`, { mode: 0o755 });
  const hosts = joined.map(({ host }) => host);
  expect(await joinByCoolify(hosts, ['default', 'alpha'], { bin, sshKey: '/keys/e2e' })).toEqual(joined);
  const servers = hosts.map(({ address }) => address);
  expect((await readFile(seen, 'utf8')).trim().split('\n')).toEqual([
    ...['init', 'apply', '--servers', servers.join(','), '--central', servers[0]],
    ...['--namespaces', 'default,alpha', '--ssh-key', '/keys/e2e', '--yes'],
  ]);
});

test('what coolify says when it fails is in the error, in one line', async () => {
  await using folder = await scratchFolder();
  const bin = join(folder.path, 'coolify');
  await writeFile(bin, '#!/bin/sh\necho "host b:"; echo "  no route"; exit 3\n', { mode: 0o755 });
  const attempt = joinByCoolify([], [], { bin, sshKey: '/keys/e2e' });
  await expect(attempt).rejects.toThrow('coolify init apply failed (3): host b: | no route');
});

test('a namespace that coolify did not make is named', async () => {
  await using folder = await scratchFolder();
  const bin = join(folder.path, 'coolify');
  await writeFile(bin, '#!/bin/sh\n', { mode: 0o755 });
  const hosts = joined.map(({ host }) => host);
  await expect(joinByCoolify(hosts, ['beta'], { bin, sshKey: '/keys/e2e' })).rejects.toThrow(
    /coolify-beta-mesh/,
  );
});
