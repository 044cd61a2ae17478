import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { watchIo } from './io-watch.ts';

it.each([
  ['waits', 'exec sleep 60', true],
  ['copies and says nothing', 'exec dd if=/dev/zero of=/dev/null bs=1k', false],
])(
  'a program that %s is seen to',
  async (_, script, isStalled) => {
    const child = spawn('sh', ['-c', script], { stdio: 'ignore' });
    try {
      await once(child, 'spawn');
      using io = watchIo(400);
      io.watch(child.pid ?? expect.fail());
      const stalled = once(io.stalled, 'abort').then(() => true);
      const goesOn = new Promise<false>(resolve =>
        setTimeout(() => resolve(false), isStalled ? 30_000 : 1500),
      );
      expect(await Promise.race([stalled, goesOn])).toBe(isStalled);
    } finally {
      child.kill('SIGKILL');
    }
  },
  40_000,
);
