import { describe, expect, it } from 'vitest';
import { type ContainerProcess, createProcessTable, findByPodmanPid, sessionOf } from './process-table.ts';

const one = (pid: number, nsPids: number[], session = pid): ContainerProcess => ({ pid, nsPids, session });

describe('the processes of a container', () => {
  it('are found by the number of any namespace but its own', () => {
    const init = one(100, [100, 1]);
    const shell = one(131, [131, 6]);
    expect(findByPodmanPid([init, shell], 131)).toBe(shell);
    expect(findByPodmanPid([init, shell], 6)).toBeUndefined();
    const below = one(5000, [5000, 131, 6]);
    expect(findByPodmanPid([init, below], 131)).toBe(below);
    expect(findByPodmanPid([], 131)).toBeUndefined();
  });

  it('are a program’s by their session, its own or its monitor’s, and never the first of all', () => {
    const init = one(100, [100, 1]);
    const shell = one(131, [131, 6]);
    const child = one(132, [132, 7], 131);
    const daemon = one(133, [133, 8]);
    expect(sessionOf([init, shell, child, daemon], shell)).toEqual([shell, child]);
    const [plain, its] = [one(140, [140, 9], 139), one(141, [141, 10], 139)];
    expect(sessionOf([init, shell, plain, its], plain)).toEqual([plain, its]);
    const [ofInit, other] = [one(150, [150, 11], 100), one(151, [151, 12], 100)];
    expect(sessionOf([init, ofInit, other], ofInit)).toEqual([ofInit]);
    const [unseen, another] = [one(160, [160, 13], 0), one(161, [161, 14], 0)];
    expect(sessionOf([unseen, another], unseen)).toEqual([unseen]);
    expect(sessionOf([init], init)).toEqual([]);
  });

  it('are read from the kernel, all callers at once', async () => {
    const table = createProcessTable();
    // Whatever cgroup this process is in: every path begins so.
    const asked = await Promise.all([table.inCgroup('/'), table.inCgroup('/'), table.inCgroup('nosuch')]);
    for (const found of asked.slice(0, 2))
      expect(found).toContainEqual({
        pid: process.pid,
        nsPids: expect.arrayContaining([process.pid]) as number[],
        session: expect.any(Number) as number,
      });
    expect(asked[2]).toEqual([]);
  });
});
