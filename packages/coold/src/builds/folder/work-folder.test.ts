import { chmod, mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { failed } from './build-outcome.ts';
import { createWorkFolders } from './work-folder.ts';

async function setUp() {
  const folder = await scratchFolder();
  const root = join(folder.path, 'work');
  return {
    root,
    folders: createWorkFolders(root),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}
const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

describe('a work folder', () => {
  it('is made whole, for its owner alone, and read back', async () => {
    await using t = await setUp();
    await t.folders.create('b-1', { stack: 'static' }, 42);
    expect(await mode(t.root)).toBe('700');
    expect(await mode(join(t.root, 'b-1'))).toBe('700');
    expect(await mode(join(t.root, 'b-1', 'request.json'))).toBe('600');
    expect(await t.folders.read('b-1')).toMatchObject({
      request: { stack: 'static' },
      queuedAt: 42,
      cancelled: false,
      outcome: undefined,
    });
    expect(await t.folders.list()).toEqual(['b-1']);
  });

  it('of one id is made once', async () => {
    await using t = await setUp();
    await t.folders.create('b', { n: 1 }, 1);
    await expect(t.folders.create('b', { n: 2 }, 2)).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    expect(await t.folders.read('b')).toMatchObject({ request: { n: 1 } });
    expect(await readdir(t.root)).toEqual(['b']);
  });

  it('reads its marks, its progress and its outcome', async () => {
    await using t = await setUp();
    await t.folders.create('b', {}, 1);
    expect(await t.folders.outputTail('b')).toBe('');
    await t.folders.say('b', { log: 'x'.repeat(9000) });
    await t.folders.say('b', { type: 'progress' });
    expect(await t.folders.outputTail('b')).toMatch(/^x+"}\n{"type":"progress"}\n$/);
    await t.folders.markStarted('b');
    await t.folders.markStarted('b');
    await t.folders.markCancelled('b');
    await t.folders.markCancelled('b');
    await t.folders.record('b', failed(499, 'cancelled', 'cancel'));
    expect(await t.folders.read('b')).toMatchObject({
      queuedAt: undefined,
      cancelled: true,
      outcome: failed(499, 'cancelled', 'cancel'),
    });
    const names = ['cancel', 'error.json', 'events.ndjson', 'request.json'];
    expect((await readdir(join(t.root, 'b'))).toSorted()).toEqual(names);
    for (const name of names) expect(await mode(join(t.root, 'b', name)), name).toBe('600');
  });

  it('with an invalid outcome has none', async () => {
    await using t = await setUp();
    await t.folders.create('b', {}, 1);
    await writeFile(join(t.root, 'b', 'result.json'), '{"digest":');
    await utimes(join(t.root, 'b', 'result.json'), 1, 1);
    expect(await t.folders.read('b')).toMatchObject({ outcome: undefined });
  });

  it('is removed atomically with any content, and a half removed one at the next list', async () => {
    await using t = await setUp();
    await t.folders.create('b', {}, 1);
    await mkdir(join(t.root, 'b', 'scratch', 'deep'), { recursive: true });
    await writeFile(join(t.root, 'b', 'scratch', 'deep', 'file'), '');
    await chmod(join(t.root, 'b', 'scratch', 'deep'), 0o000);
    await t.folders.remove('b');
    await t.folders.remove('b');
    expect(await readdir(t.root)).toEqual([]);
    await mkdir(join(t.root, '.new-1', 'x'), { recursive: true });
    await mkdir(join(t.root, '.gone-1'));
    await mkdir(join(t.root, 'not a build'));
    expect(await t.folders.list()).toEqual([]);
    expect(await readdir(t.root)).toEqual(['not a build']);
  });

  it('that does not exist is undefined, and an id that leads elsewhere is refused', async () => {
    await using t = await setUp();
    expect(await t.folders.list()).toEqual([]);
    expect(await t.folders.read('b')).toBeUndefined();
    await mkdir(join(t.root, 'b', 'others'), { recursive: true });
    expect(await t.folders.read('b')).toBeUndefined();
    expect(() => t.folders.pathOf('../x')).toThrow('is no request_id');
  });
});
