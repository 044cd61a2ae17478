import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRootSource, systemOf } from './root.ts';

const bookworm = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n';
const packages = ['podman', 'systemd'];

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'coold-roots-'));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const make = async (suite: string, path: string) => {
  mkdirSync(path);
  writeFileSync(join(path, 'suite'), suite);
};
const finished = () => readdirSync(cache).filter(name => !name.startsWith('.'));

test('the machine’s own system, and a host without a system, use the machine’s root', async () => {
  const roots = createRootSource({ cache, packages, osRelease: bookworm, make });
  expect([await roots.rootOf(), await roots.rootOf('debian-12')]).toEqual(['/', '/']);
  expect(finished()).toEqual([]);
});

test('another system is made once for all concurrent and later callers', async () => {
  let made = 0;
  const counted = async (suite: string, path: string) => {
    made += 1;
    await make(suite, path);
  };
  const source = () => createRootSource({ cache, packages, osRelease: bookworm, make: counted });
  const paths = await Promise.all([1, 2, 3].map(() => source().rootOf('debian-13')));
  expect(new Set([...paths, await source().rootOf('debian-13')]).size).toBe(1);
  expect(made).toBe(1);
  expect(finished()).toEqual([expect.stringMatching(/^trixie-[0-9a-f]{12}$/)]);
});

test('another list of packages is another root', async () => {
  for (const list of [packages, ['podman'], packages.toReversed()])
    await createRootSource({ cache, packages: list, osRelease: bookworm, make }).rootOf('debian-13');
  expect(finished()).toHaveLength(2);
});

test('an unfinished root is not used, and the next call removes it', async () => {
  const breaks = async (_suite: string, path: string) => {
    mkdirSync(path);
    throw new Error('the mirror is gone');
  };
  const source = (with_: typeof make) =>
    createRootSource({ cache, packages, osRelease: bookworm, make: with_ });
  await expect(source(breaks).rootOf('debian-13')).rejects.toThrow('the mirror is gone');
  expect(finished()).toEqual([]);
  expect(readdirSync(cache).filter(name => name.endsWith('.part'))).toHaveLength(1);
  await source(make).rootOf('debian-13');
  expect(readdirSync(cache).filter(name => name.endsWith('.part'))).toEqual([]);
  expect(finished()).toHaveLength(1);
});

test.each([
  [bookworm, 'debian-12'],
  ['ID=debian\nVERSION_ID=13\n', 'debian-13'],
  ['ID=debian\nVERSION_ID="14"\n', undefined],
  ['ID=ubuntu\nVERSION_ID="12"\n', undefined],
])('the system of %j is %s', (osRelease, system) => {
  expect(systemOf(osRelease)).toBe(system);
});
