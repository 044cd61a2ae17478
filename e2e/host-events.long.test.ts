// A PHP worker follows host.events of a real coold through restarts of coold, the broker and itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Program } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from './stack.ts';

const client = fileURLToPath(new URL('clients/follow-events.php', import.meta.url));
/** A generous limit for a busy machine. */
const waitMs = 60_000;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
}, 120_000);
afterAll(() => stack[Symbol.asyncDispose]());

interface Dealt {
  type: string;
  reason?: string;
  container?: { id: string; name: string; state: string; exit_code: number; started_at: string };
}

const workers: ChildProcess[] = [];
afterAll(() => {
  for (const worker of workers) worker.kill('SIGKILL');
});

function work(file: string): ChildProcess {
  const { socketPath, hostId } = stack.pairing;
  const worker = spawn('php', [client, socketPath, hostId, file], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  workers.push(worker);
  return worker;
}

async function killed(child: ChildProcess): Promise<void> {
  const exited = once(child, 'close');
  child.kill('SIGKILL');
  await exited;
}

async function killedProgram(program: Program): Promise<void> {
  program.signal('SIGKILL');
  await program.exited;
}

async function dealtWith(file: string): Promise<Dealt[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as Dealt);
}

it('misses nothing and repeats nothing', async () => {
  const file = join(stack.folder, 'events.ndjson');
  const of = async (name: string) =>
    (await dealtWith(file)).filter(({ container }) => container?.name === name);
  const types = async (name: string) => (await of(name)).map(({ type }) => type);
  const told = (name: string, type: string) =>
    soon(async () => expect(await types(name)).toContain(type), { timeout: waitMs });
  const remove = (id: string) =>
    stack.podman.request({ method: 'DELETE', path: `/v4.0.0/libpod/containers/${id}?force=true&timeout=0` });
  const gaps = async () =>
    (await dealtWith(file)).flatMap(({ type, reason }) => (type === 'gap' ? [reason] : []));

  const before = await stack.podman.runTiny('before');
  let worker = work(file);
  await told('before', 'container.created');

  // While the worker follows.
  const first = await stack.podman.runTiny('first');
  await told('first', 'container.created');

  // Containers change while coold is down.
  await killedProgram(stack.coold);
  const meanwhile = await stack.podman.runTiny('meanwhile');
  await remove(first);
  await stack.restartCoold();
  await told('meanwhile', 'container.created');
  await told('first', 'container.removed');
  expect(await gaps()).toEqual(['restarted']);

  // While the broker is down, coold's log keeps the events, so there is no gap.
  await killedProgram(stack.broker);
  await stack.podman.runTiny('without-broker');
  await stack.restartBroker();
  await told('without-broker', 'container.created');

  // The worker itself is killed in the middle of a burst.
  await stack.podman.runTiny('burst-1');
  await killed(worker);
  await stack.podman.runTiny('burst-2');
  await remove(meanwhile);
  worker = work(file);
  await told('burst-2', 'container.created');
  await told('meanwhile', 'container.removed');
  expect(await gaps(), 'neither the broker nor the worker makes one').toEqual(['restarted']);

  // Each change of each container is listed once.
  await remove(before);
  await told('before', 'container.removed');
  const ofLives = (type: string) => type !== 'container.state' && type !== 'container.health';
  for (const name of ['before', 'first', 'meanwhile'])
    expect((await types(name)).filter(ofLives), name).toEqual(['container.created', 'container.removed']);
  for (const name of ['without-broker', 'burst-1', 'burst-2'])
    expect((await types(name)).filter(ofLives), name).toEqual(['container.created']);
  const all = (await dealtWith(file)).flatMap(({ type, container }) =>
    container === undefined ? [] : [JSON.stringify([type, container])],
  );
  expect(all.length).toBeGreaterThan(8);
  expect(new Set(all).size).toBe(all.length);
  await killed(worker);
}, 300_000);
