import { join } from 'node:path';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caller } from '../../../test/caller.ts';
import { createPodman } from '../../podman/client.ts';
import { containerOutputHandlers } from './container-output.ts';

describe('what containers of a real Podman write', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  let call: ReturnType<typeof caller>;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    podman = stack.use(await startPodman(join(folder.path, 'podman')));
    call = caller(
      containerOutputHandlers(createPodman(podman.socketPath).containers, () => Promise.resolve()),
    );
    const image = await podman.ensureTinyImage();
    const script = 'echo one; echo two >&2; printf "\\377\\n"; echo three; exec /bin/busybox sleep 1000';
    await run('writer', ['sh', '-c', script]);
    await run('much', ['sh', '-c', '/bin/busybox yes 0123456789 | /bin/busybox head -c 3000000']);
    await run('lines', ['sh', '-c', '/bin/busybox yes "" | /bin/busybox head -c 60000']);
    await Promise.all(['much', 'lines'].map(name => libpod('POST', `${name}/wait`)));

    async function run(name: string, command: string[]) {
      await libpod('POST', 'create', { name, image, command });
      await libpod('POST', `${name}/start`);
    }
  });
  afterAll(() => stack.disposeAsync());

  async function libpod(method: 'POST', path: string, json?: unknown) {
    const answer = await podman.request({ method, path: `/v4.0.0/libpod/containers/${path}`, json });
    if (answer.status >= 400) throw new Error(answer.text);
  }

  interface Logs {
    frames: { stream: string; data: string; encoding?: string }[];
    truncated: boolean;
  }
  const logs = async (fields: object) => (await call('containers.logs', fields)) as Logs;
  const exec = (cmd: string[], fields: object = {}) =>
    call('containers.exec', { id: 'writer', cmd, ...fields });

  it('comes in frames by stream, in base64 where it is not text', async () => {
    await expect.poll(async () => (await logs({ id: 'writer' })).frames.length).toBe(4);
    const { frames, truncated } = await logs({ id: 'writer' });
    expect(truncated).toBe(false);
    expect(frames.filter(({ stream }) => stream === 'stdout')).toEqual([
      { stream: 'stdout', data: 'one\n' },
      { stream: 'stdout', data: '/wo=', encoding: 'base64' },
      { stream: 'stdout', data: 'three\n' },
    ]);
    expect(frames).toContainEqual({ stream: 'stderr', data: 'two\n' });
  });

  it('is chosen by stream, number of lines and time', async () => {
    expect((await logs({ id: 'writer', stderr: true })).frames).toEqual([
      { stream: 'stderr', data: 'two\n' },
    ]);
    expect((await logs({ id: 'writer', tail: 1 })).frames).toHaveLength(1);
    expect((await logs({ id: 'writer', tail: 0 })).frames).toEqual([]);
    expect((await logs({ id: 'writer', since: Date.now() / 1000 + 1000 })).frames).toEqual([]);
    const stamped = await logs({ id: 'writer', stderr: true, timestamps: true });
    expect(stamped.frames[0]?.data).toMatch(/^\d{4}-\d\d-\d\dT\S+ two\n$/);
  });

  it('is cut where it is too much', async () => {
    const much = await logs({ id: 'much' });
    const size = much.frames.reduce((sum, { data }) => sum + data.length, 0);
    expect(much.truncated).toBe(true);
    expect(size).toBeLessThanOrEqual(1 << 20);
    const lines = await logs({ id: 'lines' });
    expect(lines.truncated).toBe(true);
    expect(lines.frames.length).toBeLessThan(40_000);
  });

  it('of a program run in one is its output and exit code', async () => {
    const script = 'echo "$A $(/bin/busybox pwd) $(/bin/busybox id -u)"; echo err >&2; exit 3';
    const fields = { env: { A: 'b=c' }, workdir: '/bin', user: '1000' };
    expect(await exec(['/bin/busybox', 'sh', '-c', script], fields)).toEqual({
      exit_code: 3,
      output: 'b=c /bin 1000\nerr\n',
      truncated: false,
    });
    expect(await exec(['/bin/busybox', 'tty'], { tty: true })).toMatchObject({
      exit_code: 0,
      output: expect.stringContaining('/dev/pts/') as string,
    });
    expect(await exec(['/nosuch'])).toMatchObject({
      exit_code: 127,
      output: expect.stringContaining('/nosuch') as string,
    });
  });

  it('of a program is cut where it is too much, and its exit code comes still', async () => {
    const script = '/bin/busybox yes 0123456789 | /bin/busybox head -c 3000000; exit 4';
    const { output, ...rest } = (await exec(['/bin/busybox', 'sh', '-c', script])) as { output: string };
    expect(rest).toEqual({ exit_code: 4, truncated: true });
    expect(output).toHaveLength(1 << 20);
  });

  it('of one that is not there or does not run is an error', async () => {
    await expect(logs({ id: 'nosuch' })).rejects.toMatchObject({ code: 404 });
    await expect(exec(['x'], { id: 'nosuch' })).rejects.toMatchObject({ code: 404 });
    await expect(exec(['x'], { id: 'much' })).rejects.toMatchObject({ code: 409 });
  });

  it.each<[string, object, string]>([
    ['logs', { id: '../x' }, 'id'],
    ['logs', { stdout: false, stderr: false }, 'stdout'],
    ['logs', { tail: 1_000_001 }, 'tail'],
    ['logs', { tail: 4_294_967_295 }, 'tail'],
    ['logs', { follow: true }, 'follow'],
    ['logs', { since: -1 }, 'since'],
    ['logs', { since: 1e300 }, 'since'],
    ['exec', { cmd: [] }, 'cmd'],
    ['exec', { cmd: [''] }, 'cmd'],
    ['exec', { cmd: ['a\0b'] }, 'cmd'],
    ['exec', { cmd: Array(5000).fill('a') }, 'cmd'],
    ['exec', { cmd: ['a'], env: { '': 'x' } }, 'env'],
    ['exec', { cmd: ['a'], workdir: 'x' }, 'workdir'],
    ['exec', { cmd: ['a'], user: '-x' }, 'user'],
  ])('containers.%s of %j is refused', async (verb, fields, field) => {
    await expect(call(`containers.${verb}`, { id: 'writer', ...fields })).rejects.toMatchObject({
      code: 400,
      field,
    });
  });

  it.each([{ tail: 1e12 }, { tail: -1 }, { tail: '5' }])(
    'containers.logs of %j is refused before',
    async fields => {
      await expect(logs({ id: 'writer', ...fields })).rejects.toMatchObject({ name: 'FieldError' });
    },
  );
});
