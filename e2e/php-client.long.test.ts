// Runs the PHP client, alone and against a real broker and host, with Laravel's own packages if this machine has them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from './stack.ts';

const tests = fileURLToPath(new URL('../clients/php/tests/', import.meta.url));
/** Debian's php-illuminate-http and php-guzzlehttp-guzzle. */
const hasLaravel = ['Illuminate/Http', 'GuzzleHttp'].every(name =>
  existsSync(`/usr/share/php/${name}/autoload.php`),
);

async function php(script: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runChild('php', [`${tests}${script}`, ...args], {
    timeoutMs: 120_000,
  });
  expect([code, stderr], stdout).toEqual([0, '']);
  return stdout;
}

it('writes requests, reads answers, and retries what may be retried', async () => {
  expect(await php('unit.php')).toBe('ok\n');
});

describe('against a real broker', () => {
  let stack: Stack;
  let image: string;
  beforeAll(async () => {
    stack = await startStack();
    image = await stack.podman.ensureTinyImage();
  }, 120_000);
  afterAll(() => stack[Symbol.asyncDispose]());

  it('calls verbs, streams both ways, follows events, and throws by reason', {
    timeout: 120_000,
  }, async () => {
    const { socketPath, hostId } = stack.pairing;
    expect(await php('whole.php', socketPath, hostId, image)).toBe('ok\n');
  });

  it.skipIf(!hasLaravel)('serves Laravel by its provider and its facade', async () => {
    const { socketPath, hostId } = stack.pairing;
    expect(JSON.parse(await php('laravel.php', socketPath, hostId))).toEqual({
      same_client: true,
      hosts: [hostId],
      containers: expect.any(Number) as number,
      own_client: { ok: true },
      own_dispatch: 'ok',
      // The pages warn of Guzzle's option `stream`.
      stream_option: 'failed',
      fake: [[], 1],
    });
  });

  it('goes on when the broker is killed and restarted', { timeout: 120_000 }, async () => {
    const { socketPath, hostId } = stack.pairing;
    const worker = spawn('php', [`${tests}outage.php`, socketPath, hostId], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exited = once(worker, 'close');
    const lines = createInterface({ input: worker.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('begun');
    for (let round = 0; round < 2; round += 1) {
      stack.broker.signal('SIGKILL');
      await stack.broker.exited;
      await stack.restartBroker();
    }
    worker.stdin.end();
    expect((await exited)[0]).toBe(0);
  });
});
