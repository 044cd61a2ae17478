import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { registryOf } from './image-name.ts';
import { forgetSecretsIn, withoutSecrets } from './request-secrets.ts';

const common = { git_ref: 'main', target_image: 'r.example/a:1', build_args: { A: '1' } };

it.each([
  [{ repo_url: 'https://me:geheim@git.example/a.git' }, { repo_url: 'https://git.example/a.git' }],
  [{ repo_url: 'https://token@git.example/a.git' }, { repo_url: 'https://git.example/a.git' }],
  [
    { repo_url: 'git@host:a.git', push: { auth: { username: 'a', password: 'geheim' } } },
    { repo_url: 'git@host:a.git', push: {} },
  ],
])('%j keeps what is no secret', (given, left) => {
  expect(withoutSecrets({ ...common, ...given })).toEqual({ ...common, ...left });
});

it.each([
  { repo_url: 'ssh://git@host/a.git' },
  { repo_url: 'https://host/a.git', push: {} },
  { repo_url: 7 },
])('%j, which holds none, is as it was', given => {
  expect(withoutSecrets(given)).toBe(given);
});

it('replaces a file only if it holds a secret, and leaves alone what is not a request', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'request.json');
  await forgetSecretsIn(path);
  for (const text of ['{"repo_url":"https://host/a.git"}', '[1', '[]']) {
    await writeFile(path, text);
    const before = await stat(path);
    await forgetSecretsIn(path);
    expect([(await stat(path)).ino, await readFile(path, 'utf8')]).toEqual([before.ino, text]);
  }
  await writeFile(path, JSON.stringify({ push: { auth: { password: 'geheim' } } }), { mode: 0o644 });
  await forgetSecretsIn(path);
  expect([await readFile(path, 'utf8'), (await stat(path)).mode & 0o777]).toEqual(['{"push":{}}', 0o600]);
});

it.each([
  ['nginx', 'docker.io'],
  ['acme/site:v2', 'docker.io'],
  ['localhost/a:1', 'localhost'],
  ['localhost:5000/a:1', 'localhost:5000'],
  ['r.example/a/b@sha256:0', 'r.example'],
  ['10.0.0.5:5000/a', '10.0.0.5:5000'],
])('%s leads to %s', (reference, registry) => {
  expect(registryOf(reference)).toBe(registry);
});
