// Layers that builds keep for the next one: whose they are, and how many.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busybox, createGround, type Ground, logged } from '../test/ground.ts';
import type { Ended } from '../test/start-builder.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await createGround();
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

const isCached = (ended: Ended) => ended.events.some(logged('Using cache'));
const ran = (ended: Ended) => ended.events.some(logged('made here'));
/** What a step says is not in the words that it is written in. */
const dockerfile = (n: number) =>
  `FROM ${ground.base}\n${busybox(`echo 'made' here ${n}; echo ${n} >/made`)}COPY app.txt /app.txt\n`;

const repositories = new Set<string>();
async function build(name: string, n: number, fields: object, max?: string): Promise<Ended> {
  if (!repositories.has(`${name}-${n}`))
    await ground.repository(`${name}-${n}`, { Dockerfile: dockerfile(n), 'app.txt': 'app\n' });
  repositories.add(`${name}-${n}`);
  return ground.build(
    { ...ground.dockerfileRequest(`${name}-${n}`), ...fields },
    max === undefined ? {} : { env: { COOLD_BUILDER_CACHE_MAX: max } },
  );
}

describe('layers that are kept', () => {
  it('are used by the next build of the same key and repository, and by no other', async () => {
    expect(ran(await build('own', 1, { cache_key: 'web' }))).toBe(true);
    const again = await build('own', 1, { cache_key: 'web' });
    expect(again).toMatchObject({ code: 0 });
    expect([isCached(again), ran(again)]).toEqual([true, false]);
    for (const [name, fields] of [
      ['own', { cache_key: 'other' }],
      ['guessed', { cache_key: 'web' }],
      ['own', {}],
    ] as const) {
      const other = await build(name, 1, { ...fields, target_image: 'localhost/other:1' });
      expect(other, name).toMatchObject({ code: 0 });
      expect(ran(other), `${name} ${JSON.stringify(fields)}`).toBe(true);
      // buildah itself would reuse the layers of any build, and of an image with a forged history.
      if ('cache_key' in fields) expect(isCached(other)).toBe(true);
    }
  }, 60_000);

  it('of another build are not used for any step, however late their owner is noticed', async () => {
    const kept = busybox('echo of another tenant >/word');
    await ground.repository('kept', { Dockerfile: `FROM ${ground.base}\n${kept}` });
    expect(await ground.build({ ...ground.dockerfileRequest('kept'), cache_key: 'theirs' })).toMatchObject({
      code: 0,
    });
    await ground.repository('reading', {
      Dockerfile: `FROM ${ground.base} AS slow\n${busybox("echo 'slow' begins; /bin/busybox sleep 2; echo x >/x")}FROM ${ground.base}\n${kept}${busybox('echo read: $(/bin/busybox cat /word); /bin/busybox sleep 0004')}COPY --from=slow /x /x\n`,
    });
    const running = await ground.start({ ...ground.dockerfileRequest('reading'), cache_key: 'ours' });
    await running.frame(logged('slow begins'));
    // The builder hears nothing while buildah goes on.
    running.process.kill('SIGSTOP');
    await ground.inside(
      `for i in $(seq 400); do ps -e -ww -o args | grep -qE '${running.workDir}/[s]cratch/runtime[.]sh .*create|[s]leep 0004' && break; sleep 0.1; done; sleep 1`,
    );
    running.process.kill('SIGCONT');
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 0 });
    const said = ended.events.map(frame => (frame.type === 'progress' ? frame.log : '')).join('\n');
    // Once, for the layer of the build that was started again.
    expect(said.split('\n').filter(line => line === 'read: of another tenant')).toHaveLength(1);
    expect(said).toContain('another build has made a layer for the same step');
  }, 120_000);

  it('survive that a step says it used a layer', async () => {
    await ground.repository('saying', {
      Dockerfile: `FROM ${ground.base}\n${busybox(`echo '--> Using cache ${'0'.repeat(64)}'; echo 'made' here`)}`,
    });
    expect(await ground.build({ ...ground.dockerfileRequest('saying'), cache_key: 'k' })).toMatchObject({
      code: 0,
    });
  });

  it('go when they are more than their limit, those first that were not used for longest', async () => {
    const nameless = async () =>
      (await ground.inside("podman images -a --filter dangling=true --format '{{.ID}}'"))
        .split('\n')
        .filter(id => id !== '').length;
    const key = { cache_key: 'evict' };
    await build('evict', 1, key);
    await build('evict', 2, { ...key, target_image: 'localhost/second:1' });
    expect(isCached(await build('evict', 1, key))).toBe(true);
    const before = await nameless();
    expect(before).toBeGreaterThan(2);
    // Nothing but what has a name fits into it.
    expect(await build('evict', 3, { ...key, target_image: 'localhost/third:1' }, '1K')).toMatchObject({
      code: 0,
    });
    expect(await nameless()).toBeLessThan(before);
    const caches = join(ground.folder, 'podman/storage/coolify-layer-cache');
    for (const id of (
      await Promise.all((await readdir(caches)).map(name => readdir(join(caches, name))))
    ).flat())
      await ground.inside(`podman image exists ${id}`);
  }, 90_000);
});

describe('images of a build that was killed', () => {
  it('go with the next build', async () => {
    await ground.repository('killed', {
      Dockerfile: `FROM ${ground.base}\nCOPY app.txt /killed\n${busybox('echo asleep; /bin/busybox sleep 987')}`,
      'app.txt': 'app\n',
    });
    const images = () =>
      ground.inside("podman images -a --no-trunc --format '{{.ID}} {{.Repository}}' | sort");
    await ground.build(ground.request());
    const before = await images();
    const running = await ground.start({ ...ground.dockerfileRequest('killed'), cache_key: 'k' });
    await running.frame(logged('asleep'));
    expect(await images()).not.toBe(before);
    running.process.kill('SIGKILL');
    await running.ended;
    await ground.inside('sleep 1; buildah rm --all >/dev/null; true');
    await ground.repository('slow', {
      Dockerfile: `FROM ${ground.base}\n${busybox('/bin/busybox sleep 5')}`,
    });
    expect(
      await ground.build({ ...ground.dockerfileRequest('slow'), target_image: 'localhost/built:1' }),
    ).toMatchObject({ code: 0 });
    const dangling = "podman images -a --filter dangling=true --no-trunc --format '{{.ID}}' | sort";
    const left = (await ground.inside(dangling)).split('\n').filter(id => !before.includes(id));
    expect(left.filter(id => id !== '')).toEqual([]);
  }, 60_000);
});
