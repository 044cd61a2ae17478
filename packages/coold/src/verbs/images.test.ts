import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type PodmanService, type Registry, scratchFolder, startPodman, startRegistry } from '@coold/testbed';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caller } from '../../test/caller.ts';
import { createPodman } from '../podman/client.ts';
import type { PodmanImages } from '../podman/images.ts';
import { createCoalescer } from './coalesce.ts';
import { imageHandlers } from './images.ts';

const digestShape = /^sha256:[0-9a-f]{64}$/;

describe('images of a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  let open: Registry;
  let closed: Registry;
  let folder: string;
  let call: ReturnType<typeof caller>;
  /** Asks the same Podman by another client than coold's, in Docker's API. */
  let docker: Docker;

  beforeAll(async () => {
    folder = stack.use(await scratchFolder()).path;
    podman = stack.use(await startPodman(join(folder, 'podman')));
    open = stack.use(await startRegistry(podman, { folder: join(folder, 'open'), port: 5000 }));
    closed = stack.use(
      await startRegistry(podman, { folder: join(folder, 'closed'), port: 5001, auth: true }),
    );
    docker = new Docker({ socketPath: podman.socketPath });
    const images = createPodman(podman.socketPath).images;
    call = caller(imageHandlers(images, createCoalescer(), { timeoutMs: 3000 }));
    const tiny = await podman.ensureTinyImage();
    const auth = Buffer.from('{"username":"robot","password":"secret-word"}').toString('base64url');
    for (const { address } of [open, closed]) {
      const path = `/v4.0.0/libpod/images/${encodeURIComponent(tiny)}/push?destination=${address}/tiny:1`;
      const pushed = await podman.request({ method: 'POST', path, headers: { 'x-registry-auth': auth } });
      if (pushed.status !== 200 || pushed.text.includes('"error"')) throw new Error(pushed.text);
    }
  });
  afterAll(() => stack.disposeAsync());

  it('that have a longer name than any image may have are refused by their field', async () => {
    await expect(call('images.delete', { ref: 'a'.repeat(300) })).rejects.toMatchObject({
      code: 400,
      reason: 'invalid_request',
      field: 'ref',
    });
  });

  it('are listed by each of their names, with sizes and times as numbers', async () => {
    await podman.request({
      method: 'POST',
      path: '/v4.0.0/libpod/images/localhost%2Ftiny%3Alatest/tag?repo=localhost/other&tag=2',
    });
    const list = (await call('images.list')) as { ref: string; created: number }[];
    expect(list.map(({ ref }) => ref).sort()).toEqual(['localhost/other:2', 'localhost/tiny:latest']);
    expect(list[0]).toEqual({
      ref: expect.any(String) as string,
      digest: expect.stringMatching(digestShape) as string,
      id: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      size: expect.any(Number) as number,
      created: expect.any(Number) as number,
    });
    expect(Math.abs((list[0]?.created ?? 0) - Date.now() / 1000)).toBeLessThan(600);
    const tags = (await docker.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []);
    expect(tags.sort()).toEqual(list.map(({ ref }) => ref).sort());
  });

  it('are not removed by the beginning of an id', async () => {
    const path = '/v4.0.0/libpod/images/localhost%2Ftiny%3Alatest';
    const { Id } = (await podman.request({ path: `${path}/json` })).json() as { Id: string };
    const ref = Id.slice(0, 4);
    await podman.request({ method: 'POST', path: `${path}/tag?repo=localhost/${ref}&tag=latest` });
    expect(await call('images.delete', { ref })).toBeNull();
    await expect(call('images.delete', { ref })).rejects.toMatchObject({ code: 404 });
    expect((await podman.request({ path: `${path}/json` })).status).toBe(200);
  });

  it('are pulled to their digest, removed, and then unknown', async () => {
    const ref = `${open.address}/tiny:1`;
    const { digest } = (await call('images.pull', { ref })) as { digest: string };
    expect(digest).toMatch(digestShape);
    expect(await call('images.list')).toContainEqual(expect.objectContaining({ ref, digest }));
    expect((await docker.getImage(ref).inspect()).RepoDigests).toContain(`${open.address}/tiny@${digest}`);
    expect(await call('images.pull', { ref: `${open.address}/tiny@${digest}` })).toEqual({ digest });
    expect(await call('images.delete', { ref: `${open.address}/tiny@${digest}` })).toBeNull();
    expect(await call('images.delete', { ref })).toBeNull();
    await expect(docker.getImage(ref).inspect()).rejects.toMatchObject({ statusCode: 404 });
    await expect(call('images.delete', { ref })).rejects.toMatchObject({ code: 404 });
  });

  it('are pulled with credentials, which are the only way, and which nothing keeps', async () => {
    const ref = `${closed.address}/tiny:1`;
    const auth = { username: 'robot', password: 'secret-word' };
    await expect(call('images.pull', { ref })).rejects.toMatchObject({ code: 502, field: 'auth' });
    const wrong = call('images.pull', { ref, auth: { ...auth, password: 'hunter-2' } });
    await expect(wrong).rejects.toMatchObject({
      code: 502,
      field: 'auth',
      message: expect.not.stringContaining('hunter-2') as string,
    });
    expect(await call('images.pull', { ref, auth })).toEqual({
      digest: expect.stringMatching(digestShape) as string,
    });
    await expect(call('images.pull', { ref })).rejects.toMatchObject({ code: 502, field: 'auth' });
    expect(await call('images.delete', { ref })).toBeNull();
  });

  it('that their registry does not have are a 404 that names the reference', async () => {
    await expect(call('images.pull', { ref: `${open.address}/tiny:none` })).rejects.toMatchObject({
      code: 404,
      field: 'ref',
      message: expect.stringContaining('manifest unknown') as string,
    });
  });

  it('of a registry that is not there are a 502 in its words', async () => {
    // Podman itself tries three times first.
    const patient = caller(
      imageHandlers(createPodman(podman.socketPath).images, createCoalescer(), { timeoutMs: 25_000 }),
    );
    await expect(patient('images.pull', { ref: '127.0.0.1:5009/tiny' })).rejects.toMatchObject({
      code: 502,
      message: expect.stringContaining('connection refused') as string,
    });
  });

  it('of a registry that stalls are given up in the end', async () => {
    const stalling = "require('node:net').createServer(() => {}).listen(5002, '127.0.0.1')";
    const within = ['-t', String(podman.netnsPid), '-n', '--', process.execPath, '-e', stalling];
    const child = spawn('nsenter', within, { stdio: 'ignore' });
    try {
      await new Promise(resolve => setTimeout(resolve, 500));
      const started = performance.now();
      await expect(call('images.pull', { ref: '127.0.0.1:5002/tiny' })).rejects.toMatchObject({
        code: 503,
        message: expect.stringContaining('in time') as string,
      });
      expect(performance.now() - started).toBeGreaterThan(2500);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('that a container uses are not removed', async () => {
    await podman.runTiny('user');
    await expect(call('images.delete', { ref: 'localhost/other:2' })).resolves.toBeNull();
    await expect(call('images.delete', { ref: 'localhost/tiny:latest' })).rejects.toMatchObject({
      code: 409,
    });
  });
});

describe('a pull', () => {
  it('that is repeated joins the one under way, also when its first caller has gone', async () => {
    const gate = Promise.withResolvers<string>();
    const asked: unknown[] = [];
    const images: PodmanImages = {
      pull: (ref, auth) => {
        asked.push({ ref, auth });
        return gate.promise;
      },
      list: () => Promise.resolve([]),
      words: () => Promise.resolve({ annotations: {}, labels: {}, volumes: [] }),
      remove: () => Promise.resolve(),
    };
    const call = caller(imageHandlers(images, createCoalescer()));
    const auth = { username: 'u', password: 'p' };
    const gone = new AbortController();
    const first = call('images.pull', { ref: 'app:1', auth }, gone.signal);
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 503 });
    const others = [
      { ref: 'app:2', auth },
      { ref: 'app:1', auth: { ...auth, password: 'q' } },
      { ref: 'app:1' },
    ];
    const repeated = [{ ref: 'app:1', auth }, ...others, ...others].map(each => call('images.pull', each));
    gate.resolve('sha256:x');
    expect(await Promise.all(repeated)).toEqual(repeated.map(() => ({ digest: 'sha256:x' })));
    // Another's credentials are another pull: they may not be good for it.
    const passedOn = expect.objectContaining(auth) as object;
    expect(asked).toEqual([
      { ref: 'app:1', auth: passedOn },
      { ref: 'app:2', auth: passedOn },
      { ref: 'app:1', auth: expect.objectContaining({ ...auth, password: 'q' }) as object },
      { ref: 'app:1', auth: undefined },
    ]);
  });

  it.each([
    [{ ref: '--all' }, 'ref'],
    [{}, 'ref'],
    [{ ref: 'a b' }, 'ref'],
    [{ ref: 'a', auth: {} }, 'auth.username'],
    [{ ref: 'a', auth: { username: 'u', password: '' } }, 'auth.password'],
  ])('of %j is refused', async (fields, field) => {
    const call = caller(imageHandlers(createPodman('/nowhere').images, createCoalescer()));
    await expect(call('images.pull', fields)).rejects.toMatchObject({ code: 400, field });
  });
});
