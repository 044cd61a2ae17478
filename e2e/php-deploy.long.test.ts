// A PHP application with a queue and Laravel's own packages deploys to a real host; its worker is killed at every step.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { builtOk, createStubBuilder, type StubBuilder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from './stack.ts';

const app = fileURLToPath(new URL('clients/deploy-app/', import.meta.url));
/** Debian's php-illuminate-queue with php-sqlite3. */
const hasQueue = existsSync('/usr/share/php/Illuminate/Queue/autoload.php');
const network = 'deploys';
const busybox = '/bin/busybox';
/** Reads the broker's address from its log. */
const addressOf = ({ broker }: Stack) =>
  String(broker.lines.find(({ msg }) => msg === 'listening for coolds')?.['address']);

describe.skipIf(!hasQueue)('a queue worker that deploys', () => {
  const cleanup = new AsyncDisposableStack();
  let stack: Stack;
  let builder: StubBuilder;
  let database: string;
  let image: string;
  beforeAll(async () => {
    stack = cleanup.use(await startStack());
    image = await stack.podman.ensureTinyImage();
    const token = await stack.pairing.mint('builder', ['coold', 'builder']);
    builder = createStubBuilder({ address: addressOf(stack), token });
    await builder.connect();
    cleanup.defer(() => builder.cut());
    database = join(stack.folder, 'app.sqlite');
    await call('networks.create', { name: network, subnet: '10.231.15.0/24' });
    const proxy = { image, name: 'proxy', network, command: [busybox, 'sleep', '1000'], stop_timeout: 0 };
    await call('containers.create', proxy);
    await call('containers.start', { id: 'proxy' });
  }, 180_000);
  afterAll(() => cleanup.disposeAsync());

  let calls = 0;
  async function call(type: string, fields: object = {}): Promise<unknown> {
    calls += 1;
    const answer = (await stack.dispatch(`test-${calls}`, { type, ...fields })).json() as Record<
      string,
      unknown
    >;
    expect(answer, type).toMatchObject({ status: 'ok' });
    return answer['data'];
  }

  async function queue(deployment: string, old: string | null): Promise<void> {
    const job = { deployment, host: 'host-1', builder: 'builder', image, network, proxy: 'proxy', old };
    const args = [`${app}dispatch.php`, stack.pairing.socketPath, database, JSON.stringify(job)];
    const { code, stdout, stderr } = await runChild('php', args, { timeoutMs: 60_000 });
    expect([code, stdout, stderr]).toEqual([0, 'queued\n', '']);
  }

  /** Runs a worker until it prints a matching line, then kills it. @returns its output */
  async function workUntil(fits: (line: string) => boolean): Promise<string[]> {
    const worker: ChildProcess = spawn('php', [`${app}work.php`, stack.pairing.socketPath, database], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const said: string[] = [];
    try {
      if (worker.stdout === null) throw new Error('a worker without output');
      for await (const line of createInterface({ input: worker.stdout })) {
        said.push(line);
        if (fits(line)) return said;
      }
      throw new Error(`the worker ended: ${said.join(', ')}`);
    } finally {
      const exited = worker.exitCode === null ? once(worker, 'close') : undefined;
      worker.kill('SIGKILL');
      await exited;
    }
  }

  async function built(requestId: string): Promise<void> {
    await soon(() => expect(builder.builds.has(requestId)).toBe(true), { timeout: 60_000 });
    builder.finish(requestId, builtOk(`sha256:${'0'.repeat(64)}`));
  }

  async function state() {
    const containers = (await call('containers.list')) as { name: string; state: string; id: string }[];
    const rules = (await call('firewall.list')) as { dst: string; port: number }[];
    const endpoints = (await call('services.endpoints', { id: 'web' })) as { container_id: string }[];
    return {
      containers: containers.map(({ name, state }) => [name, state]).sort(),
      rules: rules.map(({ port }) => port),
      endpoints: endpoints.map(
        ({ container_id: id }) => containers.find(container => container.id === id)?.name,
      ),
    };
  }

  it('deploys, and replaces its deployment, although it is killed at each step', {
    timeout: 300_000,
  }, async () => {
    await queue('v1', null);
    const first = workUntil(line => line === 'deployed v1');
    await built('v1-T0-build');
    await first;
    expect(await state()).toEqual({
      containers: [
        ['proxy', 'running'],
        ['web-v1', 'running'],
      ],
      rules: [80],
      endpoints: ['web-v1'],
    });

    await queue('v2', 'web-v1');
    // The build is still running. The next worker finds it and does not start another.
    await workUntil(line => line === 'begins T0-build');
    const done: string[] = [];
    const killed = [
      'T3-volume',
      'T4-create',
      'T5-start',
      'T6-healthy',
      'T7-register',
      'T8-allow',
      'T9-reload',
    ];
    const later = ['T10-look', 'T10-stop', 'T10-unregister', 'T10-revoke', 'T10-delete'];
    const build = built('v2-T0-build');
    // Each worker is killed when its step begins: whether the request was sent or answered by then is random.
    for (const step of [...killed, ...later])
      done.push(
        ...(await workUntil(line => line === `begins ${step}`)).filter(line => line.startsWith('did ')),
      );
    await build;
    done.push(...(await workUntil(line => line === 'deployed v2')).filter(line => line.startsWith('did ')));

    expect(done).toEqual(['T0-build', ...killed, ...later].map(step => `did ${step}`));
    expect(await state()).toEqual({
      containers: [
        ['proxy', 'running'],
        ['web-v2', 'running'],
      ],
      rules: [80],
      endpoints: ['web-v2'],
    });
    const builds = builder.commands.filter(({ command }) => command.case === 'build');
    expect(builds.map(({ requestId }) => requestId)).toEqual(['v1-T0-build', 'v2-T0-build']);
  });
});
