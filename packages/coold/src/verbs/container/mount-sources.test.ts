import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mountSources } from './mount-sources.ts';

describe('bind sources', () => {
  const stack = new AsyncDisposableStack();
  let root: string;
  let data: string;
  beforeAll(async () => {
    root = stack.use(await scratchFolder()).path;
    data = join(root, 'data');
    for (const folder of ['data/app', 'data-other', 'secret/app', 'real'])
      await mkdir(join(root, folder), { recursive: true });
    await writeFile(join(data, 'file'), '');
    await symlink(join(root, 'secret'), join(data, 'link'));
    await symlink('../secret', join(data, 'relative'));
    await symlink('app', join(data, 'inside'));
    await symlink('loop', join(data, 'loop'));
    await symlink(join(root, 'real'), join(root, 'alias'));
    await symlink('/', join(data, 'top'));
  });
  afterAll(() => stack.disposeAsync());

  const refused = expect.objectContaining({ code: 403, field: 'f' }) as Error;

  it('within what is allowed are resolved to their real path', async () => {
    const sources = mountSources([data]);
    expect(await sources.resolve(join(data, 'app'), 'f')).toBe(join(data, 'app'));
    expect(await sources.resolve(data, 'f')).toBe(data);
    expect(await sources.resolve(`${data}//app/../file`, 'f')).toBe(join(data, 'file'));
    expect(await sources.resolve(join(data, 'inside'), 'f')).toBe(join(data, 'app'));
    expect(await mountSources([join(root, 'alias')]).resolve(join(root, 'alias'), 'f')).toBe(
      join(root, 'real'),
    );
    expect(await mountSources(['/']).resolve(data, 'f')).toBe(data);
  });

  it.each([
    ...[
      'link',
      'link/app',
      'relative',
      'loop',
      'missing',
      'app/../../secret',
      '../data-other',
      'top',
      'top/etc',
    ],
    ...['link/../../data/link', 'file/', 'file/..', '..', '../secret\0'],
  ])('data/%s is refused', async path => {
    await expect(mountSources([data]).resolve(`${data}/${path}`, 'f')).rejects.toThrow(refused);
  });

  it.each(['', 'data', './data', '~', '/', '/etc', '/proc/self/root', '/proc/self/cwd', '/dev/../etc'])(
    '%j is refused',
    async path => {
      await expect(mountSources([data]).resolve(path, 'f')).rejects.toThrow(refused);
    },
  );

  it('are refused where nothing is allowed, or what is allowed does not exist', async () => {
    for (const allowed of [[], [join(root, 'none')]])
      await expect(mountSources(allowed).resolve(join(data, 'app'), 'f')).rejects.toThrow(refused);
  });

  it('do not tell a path that is missing from one that is forbidden', async () => {
    const said = (path: string) =>
      mountSources([data])
        .resolve(path, 'f')
        .catch((error: Error) => error.message);
    expect(await said('/etc/shadow')).toBe(await said('/etc/no-such-file'));
  });

  it('that were swapped since are refused', async () => {
    const sources = mountSources([data]);
    const path = join(data, 'swapped');
    await mkdir(path);
    await sources.recheck(path, 'f');
    await rm(path, { recursive: true });
    await expect(sources.recheck(path, 'f')).rejects.toThrow(refused);
    await symlink(join(root, 'secret'), path);
    await expect(sources.recheck(path, 'f')).rejects.toThrow(refused);
    await rm(path);
    // Even one that leads to what is allowed is not what was checked.
    await symlink('app', path);
    await expect(sources.recheck(path, 'f')).rejects.toThrow(refused);
    await rename(join(data, 'app'), join(data, 'app2'));
    await expect(sources.recheck(path, 'f')).rejects.toThrow(refused);
    await rename(join(data, 'app2'), join(data, 'app'));
  });
});
