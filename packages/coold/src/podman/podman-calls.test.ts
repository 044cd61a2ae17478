// Podman is a stand-in that answers what the real one cannot be made to answer on demand.
import { createServer } from 'node:http';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectPodman } from './connection.ts';
import { createPodmanCalls } from './podman-calls.ts';

const cleanup = new AsyncDisposableStack();
let socketPath: string;
let status: keyof typeof bodies = 200;
const bodies = {
  200: '[]',
  404: '{"cause":"no such container","message":"no"}',
  500: '{"message":"runtime error: invalid memory address or nil pointer dereference"}',
};
beforeAll(async () => {
  socketPath = join(cleanup.use(await scratchFolder()).path, 'podman.sock');
  const server = createServer((request, response) => {
    if (request.url?.endsWith('/hangs') === true) return;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(bodies[status]);
  });
  await new Promise<void>(resolve => server.listen(socketPath, resolve));
  cleanup.defer(() => {
    server.closeAllConnections();
    server.close();
  });
});
afterAll(() => cleanup.disposeAsync());

it('a call says whether Podman answers, and how long it took', async () => {
  const calls = createPodmanCalls();
  const registry = new Registry();
  calls.watch(registry);
  const podman = connectPodman(socketPath, { timeoutMs: 200, onCall: calls.note });
  const never = new AbortController().signal;
  const ask = (path: string, signal = never) =>
    podman.libpod({ path }, signal).catch((error: unknown) => error);
  const read = async () => {
    const lines = (await registry.metrics()).split('\n');
    const value = (name: string) => lines.find(line => line.startsWith(`${name} `))?.split(' ')[1];
    const count = (outcome: string) =>
      value(`coold_podman_request_duration_seconds_count{outcome="${outcome}"}`);
    return {
      up: value('coold_podman_up'),
      ok: count('ok'),
      refused: count('refused'),
      failed: count('failed'),
    };
  };
  await ask('/containers/json');
  expect(await read()).toMatchObject({ up: '1', ok: '1' });
  status = 404;
  await ask('/containers/x/json');
  expect(await read(), 'a no is an answer').toMatchObject({ up: '1', refused: '1' });
  status = 500;
  await ask('/hangs');
  expect(await read(), 'a Podman that hangs').toMatchObject({ up: '0', failed: '1' });
  status = 200;
  await ask('/containers/json');
  const left = new AbortController();
  const leaving = ask('/hangs', left.signal);
  left.abort();
  await leaving;
  status = 500;
  await ask('/containers/json');
  status = 200;
  await ask('/networks/json');
  await ask('/containers/x/json');
  expect(await read(), 'one that trips over a container answers the rest').toMatchObject({ up: '0' });
  await ask('/containers/json');
  expect(await read(), 'a caller that left says nothing of Podman').toMatchObject({ up: '1', failed: '2' });
});
