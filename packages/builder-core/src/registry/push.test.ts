// What a registry does that no real one can be made to do: stall in the middle, and say again what it was told. So buildah is
// a script here; with the real one, and a real registry, the builder's own tests push.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { createTracker } from '../progress.ts';
import { pushImage } from './push.ts';

const blob = 'a'.repeat(64);
const auth = { username: 'robot', password: 'ge"heim wort' };

/** A storage with the image that is pushed. */
async function storeWithTwoLayers() {
  const folder = await scratchFolder();
  const records = {
    images: [{ id: blob, layer: 'upper' }],
    layers: [{ id: 'upper', parent: 'lower' }, { id: 'lower' }],
  };
  for (const [kind, list] of Object.entries(records)) {
    await mkdir(join(folder.path, `vfs-${kind}`));
    await writeFile(join(folder.path, `vfs-${kind}`, `${kind}.json`), JSON.stringify(list));
  }
  return folder;
}

/** A push by a buildah that does what a line of shell says; what was logged, and how it ended. */
async function push(line: string, options: { silenceMs?: number; signal?: AbortSignal } = {}) {
  await using folder = await scratchFolder();
  const bin = join(folder.path, 'bin');
  await mkdir(bin);
  const script = `#!/bin/sh\nfor a; do case $a in --authfile=*) f=\${a#*=};; --digestfile=*) d=\${a#*=};; esac; done\n${line}\n`;
  await writeFile(join(bin, 'buildah'), script, { mode: 0o755 });
  await using store = await storeWithTwoLayers();
  const logs: string[] = [];
  const { signal = new AbortController().signal, silenceMs = 60_000 } = options;
  const tracker = createTracker(({ stage, log }) => void (log !== '' && logs.push(`${stage}: ${log}`)));
  tracker.enter('push', 99);
  const ended = await pushImage({
    scratch: { folder: folder.path, gitDir: '', checkout: '', home: '', tmp: '' },
    env: { PATH: `${bin}:${process.env['PATH']}` },
    store: { root: store.path, driver: 'vfs' },
    tracker,
    signal,
    silenceMs,
    auth,
    id: blob,
    targetImage: 'r.example:5000/a/b:1',
    insecure: [],
  }).catch((error: unknown) => error);
  return { logs, ended, left: await readdir(folder.path) };
}

it('to a registry that stalls is given up, and said to be late', async () => {
  const { ended } = await push(`echo "Copying blob sha256:${blob}" >&2; exec sleep 60`, { silenceMs: 400 });
  expect(ended).toMatchObject({ code: 504, stage: 'push' });
  expect((ended as Error).message).toBe('r.example:5000 took nothing and said nothing for 0 s');
}, 20_000);

it('passes its credentials in an unnamed file that can be read repeatedly, and prints them nowhere', async () => {
  const { logs, ended, left } = await push(
    '(cat "$f"; echo; cat "$f"; echo) >&2; echo "Error: $(cat "$f")" >&2; exit 1',
  );
  const secret = Buffer.from('robot:ge"heim wort').toString('base64');
  expect(ended).toMatchObject({ code: 502, stage: 'push', message: expect.stringContaining('"auth":"***"') });
  expect(logs.filter(line => line.includes('r.example:5000":{"auth":"***"}'))).toHaveLength(3);
  expect(JSON.stringify([logs, `${ended}`])).not.toContain(secret);
  expect(left.toSorted()).toEqual(['bin', 'containers.conf']);
});

it('prints a password in none of its encodings', async () => {
  const said = ['ge"heim wort', 'ge\\"heim wort', 'ge%22heim%20wort'].map(
    form => `echo 'Error: ${form}' >&2`,
  );
  const { logs, ended } = await push(`${said.join('; ')}; exit 1`);
  expect(JSON.stringify([logs, `${ended}`])).not.toMatch(/heim/);
  expect(logs.filter(line => line.endsWith('Error: ***'))).toHaveLength(3);
});

it('counts each layer once, also one that the registry already has', async () => {
  const lines = [
    `Copying blob sha256:${blob}`,
    `Copying blob ${'b'.repeat(12)} [--------] 0.0b / 0.0b skipped`,
  ];
  const echo = [...lines, ...lines].map(line => `echo '${line}' >&2`).join('; ');
  const digest = `sha256:${'c'.repeat(64)}`;
  const { logs, ended } = await push(`${echo}; echo ${digest} >"$d"`);
  expect(ended).toBe(digest);
  expect(logs.filter(line => line.includes('layer '))).toEqual([
    `push: layer 1 of 2: ${'a'.repeat(12)}`,
    `push: layer 2 of 2: ${'b'.repeat(12)}`,
  ]);
});

it.each([
  ['dial tcp 10.0.0.9:5000: i/o timeout', 504],
  ['context deadline exceeded', 504],
  ['received unexpected HTTP status: 503 Service Unavailable', 502],
])('that ends with "%s" is %i', async (words, code) => {
  const { ended } = await push(`echo 'Error: ${words}' >&2; exit 125`);
  expect(ended).toMatchObject({ code, stage: 'push', message: expect.stringContaining(words) });
});
