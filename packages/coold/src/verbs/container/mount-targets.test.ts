import { describe, expect, it } from 'vitest';
import type { PathKind } from '../../podman/container-files.ts';
import { denyKernelTargets, resolveTarget } from './mount-targets.ts';

/** The files of a container: a path leads to another, or is there. */
const files: Record<string, string | true> = {
  '/p': 'proc',
  '/q': '/p',
  '/a': true,
  '/a/b': '../../sys/kernel',
  '/loop': '/loop2',
  '/loop2': '/loop',
  '/var': true,
  '/var/run': '/run',
  // What an image has here is below what the kernel mounts there.
  '/proc': true,
  '/proc/sys': '/data',
  '/sys': '/data',
  '/k': '/proc/sys/kernel',
  '/run': true,
};
const lookAt = async (path: string): Promise<PathKind> => {
  const found = files[path];
  if (found === undefined) return { kind: 'absent' };
  return found === true ? { kind: 'other' } : { kind: 'link', target: found };
};

describe('mount targets', () => {
  it.each([
    ['/data', '/data'],
    ['/data/x/y', '/data/x/y'],
    ['/var/run/app', '/run/app'],
    ['/p', '/proc'],
    ['/q/1', '/proc/1'],
    ['/a/b/c', '/sys/kernel/c'],
    ['/foo/../proc', '/proc'],
    ['/proc/sys', '/proc/sys'],
    ['/k', '/proc/sys/kernel'],
    ['/sys/kernel', '/sys/kernel'],
  ])('%s lie at %s', async (target, real) => {
    expect(await resolveTarget(target, lookAt)).toBe(real);
  });

  it('that lead round in circles are refused', async () => {
    await expect(resolveTarget('/loop/x', lookAt)).rejects.toMatchObject({ code: 400 });
  });

  it('over the kernel’s own are denied, and the field is named', async () => {
    const mounts = ['/var/run/x', '/q'].map(target => ({ target, source: undefined }));
    await expect(denyKernelTargets(mounts, target => `of ${target}`, lookAt)).rejects.toMatchObject({
      code: 403,
      field: 'of /q',
    });
  });

  it('see what lies higher mounted at its real path first', async () => {
    const seen: object[] = [];
    const mounts = [
      { target: '/run/x/y', source: '/two' },
      { target: '/var/run', source: '/one' },
      { target: '/run', source: '/zero' },
    ];
    await denyKernelTargets(mounts, String, (path, mounted) => {
      if (path === '/run/x') seen.push([...mounted]);
      return lookAt(path);
    });
    expect(seen).toEqual([
      [
        { target: '/run', source: '/zero' },
        { target: '/run', source: '/one' },
      ],
    ]);
  });
});
