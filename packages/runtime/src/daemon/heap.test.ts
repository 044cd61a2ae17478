import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const heap = new URL('heap.ts', import.meta.url).href;

/** The most that a program's young generation had, in MB, while it kept much of what it allocated for a while. */
async function youngMb(use: 'small' | 'busy' | 'unbounded'): Promise<number> {
  const script = `
    import { setImmediate as turn } from 'node:timers/promises';
    import { getHeapSpaceStatistics } from 'node:v8';
    import { keepHeap } from ${JSON.stringify(heap)};
    if (${use !== 'unbounded'}) keepHeap(${JSON.stringify(use)});
    let most = 0;
    let kept = [];
    for (let n = 0; n < 2000; n += 1) {
      for (let i = 0; i < 1000; i += 1) kept.push({ n, i, more: [n, i] });
      if (kept.length > 50_000) kept = [];
      const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
      most = Math.max(most, young.space_used_size + young.space_available_size);
      await turn();
    }
    process.stdout.write(String(most / 2 ** 20));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  return Number(stdout);
}

describe('the young generation of a program that keeps much of what it allocates', () => {
  it('grows without limit when it is not tuned', async () => {
    expect(await youngMb('unbounded')).toBeGreaterThan(12);
  });

  it('grows to 4 MB and a little, and no further in a busy one', async () => {
    // The bound is said after a collection: where the machine is busy, the next one may come before it, and double it once.
    expect(await youngMb('busy')).toBeLessThan(12);
  });

  it('stays small in a small one', async () => {
    expect(await youngMb('small')).toBeLessThan(8);
  });
});
