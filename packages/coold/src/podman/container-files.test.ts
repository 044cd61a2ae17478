import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { layersOf, mountsOf, pathKind } from './container-files.ts';

describe('the files of a container', () => {
  it('are those of its topmost layer that has them, and of folders that are mounted above a path', async () => {
    await using folder = await scratchFolder();
    const at = (...parts: string[]) => join(folder.path, ...parts);
    const link = async (path: string, target: string) => {
      await mkdir(dirname(path), { recursive: true });
      await symlink(target, path);
    };
    await link(at('low/p'), 'proc');
    await link(at('low/hidden'), 'proc');
    await link(at('low/gone'), 'proc');
    await link(at('low/was'), '/etc');
    await mkdir(at('up/hidden'), { recursive: true });
    await mkdir(at('up/was/x'), { recursive: true });
    await runChild('mknod', [at('up/gone'), 'c', '0', '0'], { timeoutMs: 5000 });
    await link(at('volume/x'), '/proc');
    await link(at('volume/empty/x'), '/proc');
    await writeFile(at('up/file'), '');
    const mounted = [
      { source: at('volume'), target: '/v' },
      { source: undefined, target: '/v/empty' },
    ];
    const kindOf = async (path: string) => {
      const found = await pathKind([at('up'), at('low')], mounted, path);
      return found.kind === 'link' ? `-> ${found.target}` : found.kind;
    };
    expect(await kindOf('/p')).toBe('-> proc');
    expect(await kindOf('/hidden')).toBe('other');
    expect(await kindOf('/gone')).toBe('absent');
    expect(await kindOf('/gone/x')).toBe('absent');
    expect(await kindOf('/was/x')).toBe('other');
    // The link of the lower layer must not be followed: /etc/passwd of this machine is not in the container.
    expect(await kindOf('/was/passwd')).toBe('absent');
    expect(await kindOf('/file/x')).toBe('absent');
    expect(await kindOf('/v')).toBe('absent');
    expect(await kindOf('/v/x')).toBe('-> /proc');
    expect(await kindOf('/v/y')).toBe('absent');
    expect(await kindOf('/v/empty/x')).toBe('absent');
  });

  it('have layers where overlay keeps them, and mounts with a folder or without', () => {
    expect(layersOf({ GraphDriver: { Name: 'vfs', Data: null } })).toBeUndefined();
    const container = {
      GraphDriver: { Name: 'overlay', Data: { UpperDir: '/u', LowerDir: '/a:/b' } },
      Mounts: [{ Type: 'volume', Source: '/s', Destination: '/d' }],
      HostConfig: { Tmpfs: { '/t': 'nosuid' } },
    };
    expect(layersOf(container)).toEqual(['/u', '/a', '/b']);
    expect(mountsOf(container)).toEqual([
      { source: '/s', target: '/d' },
      { source: undefined, target: '/t' },
    ]);
  });
});
