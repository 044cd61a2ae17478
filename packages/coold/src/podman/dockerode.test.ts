// Why coold does not ask Podman by dockerode (docs/decisions/podman-client.md). When this fails, dockerode has changed:
// look at the decision again.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { scratchFolder } from '@coold/testbed';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPodman } from './client.ts';

/** Long after everything that could still come has come, in ms. */
const longAfter = 500;

describe('a Podman that dies in the middle of an answer', () => {
  const stack = new AsyncDisposableStack();
  let socketPath: string;
  beforeAll(async () => {
    socketPath = join(stack.use(await scratchFolder()).path, 'podman.sock');
    const server = createServer((_, response) => dieHalfway(response));
    stack.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    server.listen(socketPath);
    await once(server, 'listening');
  });
  afterAll(() => stack.disposeAsync());

  it('is an error for the client that coold has', async () => {
    const asked = createPodman(socketPath).listContainers(new AbortController().signal);
    await expect(asked).rejects.toMatchObject({ code: 502 });
  });

  it.each([
    ['by itself', {}],
    ['by its own timeout', { timeout: 50 }],
  ])('is never told to a caller of dockerode, %s', async (_, options) => {
    const asked = new Docker({ socketPath, ...options }).listContainers();
    expect(await Promise.race([settled(asked), delay(longAfter, 'pending')])).toBe('pending');
  });

  it('is not reported to a caller of dockerode who aborts either', async () => {
    const caller = new AbortController();
    const asked = new Docker({ socketPath }).listContainers({ abortSignal: caller.signal });
    expect(await Promise.race([settled(asked), delay(longAfter, 'pending')])).toBe('pending');
    caller.abort();
    expect(await Promise.race([settled(asked), delay(longAfter, 'pending')])).toBe('pending');
  });
});

/** Half of the answer, and then the connection is gone, as when Podman is killed. */
function dieHalfway(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('[{"Id":');
  setImmediate(() => response.destroy());
}

function settled(asked: Promise<unknown>): Promise<string> {
  return asked.then(
    () => 'resolved',
    () => 'rejected',
  );
}
