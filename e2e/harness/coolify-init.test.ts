// Uses a program in place of `coolify` that records its arguments, on hosts that were joined before.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { joinByCoolify } from './coolify-init.ts';
import { createLab } from './lab/lab.ts';
import { joinMesh, type MeshHost } from './mesh.ts';
import type { Provider } from './provider.ts';

/** A program whose help lists one command of `init`, and which runs this script for every other call. */
const coolify = (command: string, work: string) =>
  `#!/bin/sh
[ "$2" != --help ] || { printf 'Usage:\\n  coolify init [flags]\\n\\nAvailable Commands:\\n  ${command}      Sets up\\n'; exit; }
${work}
`;

let lab: Provider;
let joined: MeshHost[];
beforeAll(async () => {
  lab = await createLab();
  joined = await joinMesh(await lab.up(['a', 'b']), ['default', 'alpha']);
}, 60_000);
afterAll(() => lab?.close(), 30_000);

test.each(['apply', 'bootstrap'])(
  'coolify %s is given the servers, and what it left on them is read back',
  async command => {
    await using folder = await scratchFolder();
    const [bin, seen] = [join(folder.path, 'coolify'), join(folder.path, 'seen')];
    await writeFile(bin, coolify(command, `printf '%s\\n' "$@" >${seen}`), { mode: 0o755 });
    const hosts = joined.map(({ host }) => host);
    expect(await joinByCoolify(hosts, ['default', 'alpha'], { bin, sshKey: '/keys/e2e' })).toEqual(joined);
    const servers = hosts.map(({ address }) => address);
    expect((await readFile(seen, 'utf8')).trim().split('\n')).toEqual([
      ...['init', command, '--servers', servers.join(','), '--central', servers[0]],
      ...['--namespaces', 'default,alpha', '--ssh-key', '/keys/e2e', '--yes'],
    ]);
  },
);

test(`the error has coolify's output in one line`, async () => {
  await using folder = await scratchFolder();
  const bin = join(folder.path, 'coolify');
  await writeFile(bin, coolify('apply', 'echo "host b:"; echo "  no route"; exit 3'), { mode: 0o755 });
  const attempt = joinByCoolify([], [], { bin, sshKey: '/keys/e2e' });
  await expect(attempt).rejects.toThrow('coolify init apply failed (3): host b: | no route');
});

test('a namespace that coolify did not create is named', async () => {
  await using folder = await scratchFolder();
  const bin = join(folder.path, 'coolify');
  await writeFile(bin, coolify('bootstrap', ''), { mode: 0o755 });
  const hosts = joined.map(({ host }) => host);
  await expect(joinByCoolify(hosts, ['beta'], { bin, sshKey: '/keys/e2e' })).rejects.toThrow(
    /coolify-beta-mesh/,
  );
});

test('a coolify that does not know the command fails at once, even if it prints its help and exits with 0', async () => {
  await using folder = await scratchFolder();
  const [bin, seen] = [join(folder.path, 'coolify'), join(folder.path, 'seen')];
  await writeFile(bin, `#!/bin/sh\necho "$@" >>${seen}\nprintf 'Usage:\\n  coolify [command]\\n'\n`, {
    mode: 0o755,
  });
  const hosts = joined.map(({ host }) => host);
  const attempt = joinByCoolify(hosts, ['default'], { bin, sshKey: '/keys/e2e' });
  await expect(attempt).rejects.toThrow('neither `init bootstrap` nor `init apply`');
  expect(await readFile(seen, 'utf8'), 'nothing else was tried').toBe('init --help\n');
});
