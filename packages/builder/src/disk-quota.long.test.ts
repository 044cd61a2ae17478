// What a build may use of the disk, and what it leaves there when it fails: nothing.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busybox, createGround, type Ground, logged } from '../test/ground.ts';

let ground: Ground;
/** In the registry only, an image that says that /v is a volume. */
let withVolume: string;

beforeAll(async () => {
  ground = await createGround();
  withVolume = `${ground.registry.address}/with-volume:1`;
  await ground.inside(
    `printf 'FROM ${ground.base}\\nVOLUME /v\\n' | buildah bud --isolation=chroot -t ${withVolume} -f - ${ground.folder} && buildah push -q ${withVolume} && buildah rmi ${withVolume}`,
  );
  await ground.largeRepository('large', 5, 80_000_000);
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

/** Everything that the storage holds: images with and without names, layers, working containers. */
async function inStorage(): Promise<string[]> {
  const shown = await ground.inside(
    "buildah images --all --no-trunc --format '{{.ID}} {{.Name}}:{{.Tag}}'; buildah containers -q",
  );
  const layers = await readdir(join(ground.folder, 'podman/storage/overlay-layers'));
  return [...shown.split('\n'), ...layers.filter(name => name.endsWith('.tar-split.gz'))].sort();
}

let count = 0;
async function buildOf(dockerfile: string, max: string | undefined, fields: object = {}) {
  count += 1;
  await ground.repository(`quota-${count}`, { Dockerfile: dockerfile, 'app.txt': `app ${count}\n` });
  return ground.build(
    { ...ground.dockerfileRequest(`quota-${count}`), ...fields },
    max === undefined ? {} : { env: { COOLD_BUILDER_DISK_MAX: max } },
  );
}

/** So many MB, slowly enough that a look at the disk comes between; then it would go on. */
const fill = (megabytes: number, path: string, seconds = 60) =>
  busybox(
    `/bin/busybox dd if=/dev/zero of=${path} bs=1M count=${megabytes} 2>/dev/null; echo written; /bin/busybox sleep ${seconds}`,
  );

describe('a build that uses more of the disk than it may', () => {
  const ways: [string, () => string, object][] = [
    ['a step', () => `FROM ${ground.base}\n${fill(150, '/zeros')}`, {}],
    [
      'a step whose layers are kept',
      () => `FROM ${ground.base}\nCOPY app.txt /\n${fill(150, '/zeros')}`,
      { cache_key: 'k' },
    ],
    [
      'an earlier stage',
      () =>
        `FROM ${ground.base} AS a\n${busybox('/bin/busybox dd if=/dev/zero of=/x bs=1M count=60')}FROM a AS b\nCOPY app.txt /\nFROM b\n${fill(60, '/zeros')}`,
      {},
    ],
    [
      'a cache mount',
      () =>
        `FROM ${ground.base}\n${fill(150, '/c/zeros').replace('RUN ', 'RUN --mount=type=cache,id=a,target=/c ')}`,
      {},
    ],
    [
      'a deleted file that a step has open',
      () =>
        `FROM ${ground.base}\n${busybox('exec 3>/zeros; /bin/busybox rm /zeros; /bin/busybox head -c 150000000 /dev/zero >&3; echo written; /bin/busybox sleep 60')}`,
      {},
    ],
    ['a volume of its base image', () => `FROM ${withVolume}\n${fill(150, '/v/zeros')}`, {}],
  ];
  it.each(ways)(
    'in %s ends with 507 that says why, and leaves nothing',
    async (_what, dockerfile, fields) => {
      const before = await inStorage();
      const ended = await buildOf(dockerfile(), '100M', fields);
      expect(ended).toMatchObject({ code: 1, error: { code: 507, stage: 'buildah' } });
      expect(ended.error?.message).toMatch(
        /^the build used \d+(?:\.\d)? MiB of the disk, .* may use 100 MiB: COOLD_BUILDER_DISK_MAX$/,
      );
      expect(await inStorage()).toEqual(before);
    },
  );

  it('by empty files ends with 507 and that reason, and leaves nothing', async () => {
    const before = await inStorage();
    count += 1;
    const files = '/bin/busybox seq 1 3000 | /bin/busybox xargs /bin/busybox touch';
    await ground.repository(`quota-${count}`, {
      Dockerfile: `FROM ${ground.base}\n${busybox(`/bin/busybox mkdir /f; cd /f; ${files}; /bin/busybox sleep 60`)}`,
    });
    const ended = await ground.build(ground.dockerfileRequest(`quota-${count}`), {
      env: { COOLD_BUILDER_INODES_MAX: '2000' },
    });
    expect(ended).toMatchObject({ code: 1, error: { code: 507, stage: 'buildah' } });
    expect(ended.error?.message).toMatch(
      /^the build had [23]\d{3} files on the disk, .* may have 2000: COOLD_BUILDER_INODES_MAX$/,
    );
    expect(await inStorage()).toEqual(before);
  });

  it('while its repository is fetched ends with 507 of that stage', async () => {
    const before = await inStorage();
    const request = ground.request({ repo_url: `${ground.daemon.url}/large` });
    const ended = await ground.build(request, { env: { COOLD_BUILDER_DISK_MAX: '20M' } });
    expect(ended).toMatchObject({
      code: 1,
      error: { code: 507, stage: expect.stringMatching(/^(?:git|buildah)$/) },
    });
    expect(await inStorage()).toEqual(before);
  });

  it('by its base image ends with 507, and the image goes', async () => {
    const name = `${ground.registry.address}/big:1`;
    await ground.inside(
      `mkdir ${ground.folder}/big && head -c 150M /dev/zero >${ground.folder}/big/zeros && printf 'FROM ${ground.base}\\nCOPY zeros /\\n' | buildah bud --isolation=chroot -t ${name} -f - ${ground.folder}/big && buildah push -q ${name} && buildah rmi ${name}`,
    );
    const before = await inStorage();
    const ended = await buildOf(`FROM ${name}\n${busybox('/bin/busybox sleep 60')}`, '100M');
    expect(ended).toMatchObject({ code: 1, error: { code: 507 } });
    expect(await inStorage()).toEqual(before);
  }, 60_000);

  it('does not end one that uses less, however much others use at the same time', async () => {
    const filling = buildOf(`FROM ${ground.base}\n${fill(150, '/zeros', 4)}`, '400M');
    const small = await buildOf(
      `FROM ${ground.base}\nCOPY app.txt /\n${busybox('/bin/busybox sleep 8')}`,
      '60M',
    );
    expect(small).toMatchObject({ code: 0 });
    expect((await filling).error).toBeUndefined();
  }, 120_000);
});

describe('a build that fails', () => {
  it.each([
    ['in its last stage', 'AS a\nCOPY app.txt /a\nFROM a AS b\nCOPY app.txt /b\nFROM b\n', {}],
    ['with layers that are kept', 'AS a\nCOPY app.txt /a\nFROM a\nCOPY app.txt /b\n', { cache_key: 'k' }],
    ['in its first step', '\n', {}],
  ])('%s leaves nothing in the storage', async (_where, steps, fields) => {
    await ground.inside(`podman rmi --ignore --force ${ground.base}`);
    const before = await inStorage();
    const ended = await buildOf(`FROM ${ground.base} ${steps}${busybox('exit 3')}`, undefined, fields);
    expect(ended).toMatchObject({ code: 1, error: { code: 422 } });
    expect(await inStorage()).toEqual(before);
  });

  it('gives back a name that it took', async () => {
    const name = `${ground.registry.address}/moved:1`;
    const tiny = await ground.podman.ensureTinyImage();
    await ground.inside(
      `printf 'FROM ${ground.base}\\nLABEL a=b\\n' | buildah bud --isolation=chroot -t ${name} -f - ${ground.folder}/git/site && buildah push -q ${name} && buildah rmi ${name} && podman tag ${tiny} ${name}`,
    );
    const before = await inStorage();
    expect(await buildOf(`FROM ${name}\n${busybox('exit 3')}`, undefined)).toMatchObject({
      error: { code: 422 },
    });
    expect(await inStorage()).toEqual(before);
  });

  it('leaves the images of others, and those that were there', async () => {
    expect(await buildOf(`FROM ${ground.base}\nCOPY app.txt /\n`, undefined)).toMatchObject({ code: 0 });
    const before = await inStorage();
    const running = await ground.start(ground.dockerfileRequest('sleeping'));
    await running.frame(logged('asleep'));
    expect(await buildOf(`FROM ${ground.base}\n${busybox('exit 3')}`, undefined)).toMatchObject({ code: 1 });
    running.process.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 130 });
    expect(await inStorage()).toEqual(before);
  }, 60_000);
});
