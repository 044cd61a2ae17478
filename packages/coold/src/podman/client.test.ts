import { createServer, type Server } from 'node:http';
import { dirname, join } from 'node:path';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPodman } from './client.ts';

const forever = new AbortController().signal;

describe('a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    podman = stack.use(await startPodman(join(folder.path, 'podman')));
  });
  afterAll(() => stack.disposeAsync());

  it('lists nothing when there is nothing', async () => {
    expect(await createPodman(podman.socketPath).listContainers(forever)).toEqual([]);
  });

  it('lists every container, running or not, with its networks', async () => {
    const running = await podman.runTiny('running');
    const stopped = await podman.runTiny('stopped');
    await podman.request({ method: 'POST', path: `/v4.0.0/libpod/containers/${stopped}/stop?timeout=0` });
    const create = { name: 'lonely', image: 'localhost/tiny:latest', netns: { nsmode: 'none' } };
    await podman.request({ method: 'POST', path: '/v4.0.0/libpod/containers/create', json: create });
    const list = await createPodman(podman.socketPath).listContainers(forever);
    expect(list.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
      expect.objectContaining({ name: 'lonely', state: 'created', networks: [] }),
      {
        id: running,
        name: 'running',
        image: 'localhost/tiny:latest',
        state: 'running',
        networks: ['podman'],
      },
      { id: stopped, name: 'stopped', image: 'localhost/tiny:latest', state: 'exited', networks: ['podman'] },
    ]);
  });

  it('that was killed is a 503 that names the socket, and one that is back is asked again', async () => {
    const client = createPodman(podman.socketPath);
    await podman.kill();
    await expect(client.listContainers(forever)).rejects.toMatchObject({
      code: 503,
      message: expect.stringContaining(podman.socketPath),
    });
    stack.use(await startPodman(dirname(podman.socketPath)));
    expect((await client.listContainers(forever)).map(({ name }) => name)).toContain('running');
  });
});

/** What a Podman cannot be made to do: stand-ins on a socket of their own. */
describe('a Podman that fails', () => {
  async function answering(listener: Parameters<typeof createServer>[1]) {
    const folder = await scratchFolder();
    const socketPath = join(folder.path, 'p.sock');
    const server: Server = createServer({}, listener);
    await new Promise<void>(resolve => server.listen(socketPath, resolve));
    return {
      socketPath,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections();
        server.close();
        await folder[Symbol.asyncDispose]();
      },
    };
  }

  it('before it exists is a 503', async () => {
    await using folder = await scratchFolder();
    const missing = join(folder.path, 'none.sock');
    await expect(createPodman(missing).listContainers(forever)).rejects.toMatchObject({ code: 503 });
  });

  it('in the middle of its answer is a 502', async () => {
    await using fake = await answering((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('[{"Id":');
      setImmediate(() => response.destroy());
    });
    await expect(createPodman(fake.socketPath).listContainers(forever)).rejects.toMatchObject({ code: 502 });
  });

  it.each([
    [500, 502],
    [404, 404],
    [409, 409],
  ])('with its own %i is a %i with its message', async (theirs, ours) => {
    await using fake = await answering((_, response) => {
      response.writeHead(theirs, { 'content-type': 'application/json' });
      response.end('{"message":"the store is locked","response":500}');
    });
    await expect(createPodman(fake.socketPath).listContainers(forever)).rejects.toMatchObject({
      code: ours,
      message: expect.stringContaining('the store is locked'),
    });
  });

  it.each([
    ['image not known', 404],
    ['network not found', 404],
    ['container state improper', 409],
    ['that name is already in use', 409],
    ['subnet 10.0.0.0/24 is already used on the host or by another config', 409],
    ['the disk is full', 502],
  ])('with a 500 because of "%s" is a %i', async (cause, code) => {
    await using fake = await answering((_, response) => {
      response.writeHead(500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ cause, message: `so: ${cause}`, response: 500 }));
    });
    const asked = createPodman(fake.socketPath).containers.create({}, forever);
    await expect(asked).rejects.toMatchObject({ code, message: `podman: so: ${cause}` });
  });

  it('with something that is not a list is a 502', async () => {
    await using fake = await answering((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"hello":1}');
    });
    await expect(createPodman(fake.socketPath).listContainers(forever)).rejects.toMatchObject({ code: 502 });
  });

  it('with something that is not JSON is a 502 with that reason', async () => {
    await using fake = await answering((_, response) => response.end('<html>'));
    await expect(createPodman(fake.socketPath).listContainers(forever)).rejects.toMatchObject({
      code: 502,
      message: "podman's answer is not JSON",
    });
  });

  it('with an answer without end is a 502, and no more of it is read', async () => {
    let sent = 0;
    await using fake = await answering((_, response) => {
      const chunk = Buffer.alloc(1 << 20, 'x');
      const more = () => {
        while (response.writable && response.write(chunk)) sent += 1;
      };
      response.on('drain', more);
      more();
    });
    await expect(createPodman(fake.socketPath).listContainers(forever)).rejects.toMatchObject({ code: 502 });
    expect(sent).toBeLessThan(200);
  });

  it('by never answering is a 503 once the caller has gone or the time is up', async () => {
    await using fake = await answering(() => {});
    const gone = new AbortController();
    const asked = createPodman(fake.socketPath).listContainers(gone.signal);
    gone.abort();
    await expect(asked).rejects.toMatchObject({ code: 503 });
    const timed = createPodman(fake.socketPath, { timeoutMs: 100 }).listContainers(forever);
    await expect(timed).rejects.toMatchObject({ code: 503, message: expect.stringContaining('in time') });
  });
});
