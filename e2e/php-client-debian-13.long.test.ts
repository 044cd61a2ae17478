// Runs the PHP client with Debian 13's PHP, Guzzle and illuminate/http against a real broker and host on this machine.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRootSource } from './harness/lab/root.ts';
import { type Stack, startStack } from './stack.ts';

const client = fileURLToPath(new URL('../clients/php/', import.meta.url));
const packages = [
  ...['php-cli', 'php-curl', 'php-guzzlehttp-guzzle', 'php-illuminate-http'],
  // Illuminate's `env()` needs these, but its Debian packages do not depend on them.
  ...['php-illuminate-container', 'php-vlucas-phpdotenv'],
];
/** Enters the root with the client at /srv and the broker's socket in /mnt, without changing it. */
const enter =
  'mount --bind "$2" "$1/srv" && mount --bind "$3" "$1/mnt" && mount -t proc proc "$1/proc" && root=$1 && shift 3 && exec chroot "$root" "$@"';

let stack: Stack;
let image: string;
let root: string;
beforeAll(async () => {
  // An empty os-release matches no system, so that a separate root is created on Debian 13 too.
  root = await createRootSource({ packages, osRelease: '' }).rootOf('debian-13');
  stack = await startStack();
  image = await stack.podman.ensureTinyImage();
}, 900_000);
afterAll(() => stack[Symbol.asyncDispose]());

async function inRoot(...argv: string[]): Promise<string> {
  const folders = [root, client, dirname(stack.pairing.socketPath)];
  const { code, stdout, stderr } = await runChild(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-c', enter, 'sh', ...folders, ...argv],
    { timeoutMs: 120_000 },
  );
  expect([code, stderr], stdout).toEqual([0, '']);
  return stdout;
}
const php = (script: string, ...args: string[]) => inRoot('php', `/srv/tests/${script}`, ...args);
const socket = () => stack.pairing.socketPath.replace(dirname(stack.pairing.socketPath), '/mnt');

it('has the versions of Debian 13', async () => {
  const show = ['dpkg-query', '-W', '-f', '$' + '{Version}\\n', ...packages] as const;
  const [, , guzzle, illuminate] = (await inRoot(...show)).split('\n');
  expect(guzzle).toMatch(/^7\./);
  expect(illuminate).toMatch(/^10\./);
  expect(existsSync(`${root}/usr/share/php/Illuminate/Http/autoload.php`)).toBe(true);
});

it('writes requests, reads answers, and retries what may be retried', async () => {
  expect(await php('unit.php')).toBe('ok\n');
});

it('calls verbs, streams both ways, follows events, and throws by reason', { timeout: 120_000 }, async () => {
  expect(await php('whole.php', socket(), stack.pairing.hostId, image)).toBe('ok\n');
});

it('serves Laravel by its provider and its facade', async () => {
  expect(JSON.parse(await php('laravel.php', socket(), stack.pairing.hostId))).toEqual({
    same_client: true,
    hosts: [stack.pairing.hostId],
    containers: expect.any(Number) as number,
    own_client: { ok: true },
    own_dispatch: 'ok',
    // The pages warn of Guzzle's option `stream`.
    stream_option: 'failed',
    fake: [[], 1],
  });
});
