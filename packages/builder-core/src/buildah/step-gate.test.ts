import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch, writeFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { openStepGate, untilAllIsRead } from './step-gate.ts';

/** A gate over a crun that says how it was called. */
async function setUp(mayRun: () => Promise<boolean>) {
  const folder = await scratchFolder();
  const bin = join(folder.path, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'crun'), '#!/bin/sh\nprintf "%s|" "$@"\n');
  await chmod(join(bin, 'crun'), 0o755);
  const gate = await openStepGate(
    { folder: folder.path, gitDir: '', checkout: '', home: '', tmp: '' },
    mayRun,
  );
  const call = (...args: string[]) => {
    const child = spawn(gate.runtime, args, { env: { PATH: `${bin}:${process.env['PATH']}` } });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
    });
    return { child, said: once(child, 'close').then(() => said) };
  };
  return {
    call,
    async [Symbol.asyncDispose]() {
      gate[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

it('lets a container be made once it may, each by a question of its own, and all else at once', async () => {
  let asked = 0;
  await using t = await setUp(async () => {
    asked += 1;
    return true;
  });
  expect(await t.call('--root=/a b', 'create', '--bundle', '/x', 'name').said).toBe(
    '--root=/a b|create|--bundle|/x|name|',
  );
  expect(await t.call('create', 'again').said).toBe('create|again|');
  expect(asked).toBe(2);
  expect(await t.call('start', 'name').said).toBe('start|name|');
  expect(asked).toBe(2);
});

it('lets none be made that may not, until the build is ended', async () => {
  const asked = Promise.withResolvers<void>();
  await using t = await setUp(async () => {
    asked.resolve();
    return false;
  });
  const { child, said } = t.call('create', 'name');
  await asked.promise;
  await delay(200);
  expect(child.exitCode).toBeNull();
  child.kill('SIGKILL');
  expect(await said).toBe('');
});

it('what was written before a question is read before its answer, also when both come in one turn', async () => {
  await using folder = await scratchFolder();
  const at = (name: string) => join(folder.path, name);
  const script = 'until [ -e "$1/go" ]; do sleep 0.01; done; echo word; : >"$1/asks"; read -r end';
  const child = spawn('sh', ['-c', script, 'sh', folder.path]);
  let chunks = 0;
  child.stdout.on('data', () => {
    chunks += 1;
  });
  const asked = Promise.withResolvers<void>();
  using watcher = Object.assign(
    watch(folder.path, (_, name) => {
      if (name === 'first' && !existsSync(at('go'))) {
        // This process is busy while the program writes and asks.
        writeFileSync(at('go'), '');
        const pause = new Int32Array(new SharedArrayBuffer(4));
        for (let tries = 0; !existsSync(at('asks')) && tries < 1000; tries += 1)
          Atomics.wait(pause, 0, 0, 10);
      }
      if (name === 'asks') asked.resolve(untilAllIsRead(() => chunks));
    }),
    {
      [Symbol.dispose]() {
        watcher.close();
      },
    },
  );
  writeFileSync(at('first'), '');
  await asked.promise;
  expect(chunks).toBe(1);
  child.stdin.end();
  await once(child, 'close');
});
