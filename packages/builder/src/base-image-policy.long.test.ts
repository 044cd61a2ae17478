// Where the images that a build names may come from: their registry, or this host where the request permits it.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, type Registry, startRegistry } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busybox, createGround, type Ground } from '../test/ground.ts';

let ground: Ground;
/** Asks for a name and a password. */
let closed: Registry;
/** Images of another tenant on this host: a name that only this host has, one of a registry that asks, one of none. */
let foreign: { local: string; asked: string; gone: string; id: string; digest: string };

beforeAll(async () => {
  ground = await createGround();
  closed = await startRegistry(ground.podman, {
    folder: join(ground.folder, 'closed'),
    port: await freePort(),
    auth: true,
  });
  await writeFile(join(ground.folder, 'word'), 'of another tenant\n');
  await writeFile(
    join(ground.folder, 'Foreign'),
    `FROM ${await ground.podman.ensureTinyImage()}\nCOPY word /word\n`,
  );
  const names = {
    local: 'localhost/foreign:1',
    asked: `${closed.address}/foreign:1`,
    gone: '127.0.0.1:9/foreign:1',
  };
  await ground.inside(
    `buildah bud --isolation=chroot -t ${names.local} -f ${ground.folder}/Foreign ${ground.folder}`,
  );
  await ground.inside(`podman tag ${names.local} ${names.asked} ${names.gone}`);
  await ground.inside(`podman push -q --creds robot:secret-word ${names.asked}`);
  const inspect = (format: string) =>
    ground.inside(`podman image inspect --format '{{.${format}}}' ${names.local}`);
  foreign = { ...names, id: await inspect('Id'), digest: await inspect('Digest') };
}, 120_000);

afterAll(async () => {
  await closed[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
}, 60_000);

let count = 0;
async function buildOf(dockerfile: string, fields: object = {}) {
  count += 1;
  await ground.repository(`policy-${count}`, { Dockerfile: dockerfile, 'app.txt': 'app\n' });
  return ground.build({ ...ground.dockerfileRequest(`policy-${count}`), ...fields });
}

const reading = busybox('/bin/busybox cat /word');
const ways: [string, (image: string) => string][] = [
  ['FROM', image => `FROM ${image}\n${reading}`],
  ['a FROM of an earlier stage', image => `FROM ${image} AS a\nFROM a\n${reading}`],
  ['COPY --from', image => `FROM ${ground.base}\nCOPY --from=${image} /word /word\n${reading}`],
];
const kinds: [string, () => string, number][] = [
  ['a name that only this host has', () => foreign.local, 422],
  ['an id', () => foreign.id, 422],
  ['an id with its algorithm', () => `sha256:${foreign.id}`, 422],
  ['a name whose registry asks for a password', () => foreign.asked, 502],
  ['a name whose registry is not there', () => foreign.gone, 502],
  ['a digest whose registry is not there', () => `127.0.0.1:9/foreign@${foreign.digest}`, 502],
];

describe("an image of another tenant in this host's storage", () => {
  it.each(ways.flatMap(way => kinds.map(kind => [...way, ...kind] as const)))(
    'is not read by %s of %s',
    async (_way, dockerfile, _kind, image, code) => {
      const ended = await buildOf(dockerfile(image()));
      expect(JSON.stringify(ended.events)).not.toContain('of another tenant');
      expect(ended).toMatchObject({ code: 1, error: { code } });
      expect(ended.error?.message).toContain(image());
    },
  );

  it('keeps the name that a base image has at its registry', async () => {
    // What the tenant has built under that name, and not pushed.
    await ground.inside(`podman tag ${foreign.local} ${ground.base}`);
    try {
      expect(await buildOf(`FROM ${ground.base}\n${busybox('false')}`)).toMatchObject({ code: 1 });
      const ended = await ground.build(ground.request());
      expect(ended).toMatchObject({ code: 0 });
      expect(JSON.stringify(ended.events)).not.toContain(foreign.id);
      expect(await ground.inside(`podman image inspect --format '{{.Id}}' ${ground.base}`)).toBe(foreign.id);
    } finally {
      await ground.inside(`podman untag ${foreign.id} ${ground.base} || true`);
    }
  });

  it('is not copied from by a short name, also where a later stage has it', async () => {
    await ground.inside(`podman tag ${foreign.local} localhost/foreign:latest`);
    for (const later of ['', 'FROM scratch AS foreign\n']) {
      const ended = await buildOf(
        `FROM ${ground.base} AS a\nCOPY --from=foreign /word /word\n${reading}${later}`,
        { dockerfile_cfg: { target: 'a' } },
      );
      expect(JSON.stringify(ended.events)).not.toContain('of another tenant');
      expect(ended).toMatchObject({ code: 1, error: { code: 502 } });
    }
  });

  it('is not the base of a static build', async () => {
    const ended = await ground.build(ground.request({ static_cfg: { base_image: foreign.local } }));
    expect(ended).toMatchObject({
      code: 1,
      error: {
        code: 422,
        stage: 'buildah',
        message: `base image ${foreign.local}: only an image of this host that the request names in base_images`,
      },
    });
  });

  it('is not copied from for a base image that asks its builds for it (ONBUILD)', async () => {
    const asking = `${ground.registry.address}/asking:1`;
    // A registry gives this one to anybody; which image has its name here by the time of the step is for others to say.
    const given = `${ground.registry.address}/given:1`;
    await ground.inside(`podman tag ${foreign.local} ${given} && podman push -q ${given}`);
    for (const from of [given, foreign.local, foreign.asked, foreign.id, 'foreign', 'foreign:1']) {
      const trigger = `ONBUILD COPY --from=${from} /word /word`;
      await ground.inside(
        `printf '%s\\n' 'FROM ${ground.base}' '${trigger}' | buildah bud --format=docker --isolation=chroot -t ${asking} -f - ${ground.folder}/git/site && buildah push -q ${asking} && buildah rmi ${asking}`,
      );
      const ended = await buildOf(`FROM ${asking}\n${reading}`);
      expect(JSON.stringify(ended.events), from).not.toContain('of another tenant');
      expect(ended, from).toMatchObject({ code: 1, error: { code: 422 } });
    }
  }, 60_000);

  it('is copied from by a digest that its registry gives, when a base image asks for that (ONBUILD)', async () => {
    const given = `${ground.registry.address}/given`;
    const file = join(ground.folder, 'given-digest');
    await ground.inside(
      `podman tag ${foreign.local} ${given}:2 && podman push -q --digestfile ${file} ${given}:2 && podman rmi ${given}:2`,
    );
    const asking = `${ground.registry.address}/asking:2`;
    const trigger = `ONBUILD COPY --from=${given}@${(await readFile(file, 'utf8')).trim()} /word /word`;
    await ground.inside(
      `printf '%s\\n' 'FROM ${ground.base}' '${trigger}' | buildah bud --format=docker --isolation=chroot -t ${asking} -f - ${ground.folder}/git/site && buildah push -q ${asking} && buildah rmi ${asking}`,
    );
    const ended = await buildOf(`FROM ${asking}\n${reading}`);
    expect(ended).toMatchObject({ code: 0 });
    expect(JSON.stringify(ended.events)).toContain('of another tenant');
  });

  it.each([
    ['that nothing else uses', ''],
    ['that another stage is built on', 'FROM foreign AS other\nCOPY app.txt /other\n'],
    ['that is copied from as well', 'FROM scratch AS other\nCOPY --from=foreign /app.txt /other\n'],
  ])('is not copied from where a base image asks for a stage with its name, %s', async (_what, between) => {
    await ground.inside(`podman tag ${foreign.local} localhost/foreign:latest`);
    const asking = `${ground.registry.address}/asking-stage:1`;
    await ground.inside(
      `printf '%s\\n' 'FROM ${ground.base}' 'ONBUILD COPY --from=foreign /word /word' | buildah bud --format=docker --isolation=chroot -t ${asking} -f - ${ground.folder}/git/site && buildah push -q ${asking} && buildah rmi ${asking}`,
    );
    const own = `FROM ${ground.base} AS foreign\nCOPY app.txt /app.txt\n${busybox('echo of its own >/word')}`;
    const used = between === '' ? '' : 'COPY --from=other /other /other\n';
    for (const fields of [{}, { cache_key: 'asked' }, { cache_key: 'asked' }]) {
      const ended = await buildOf(`${own}${between}FROM ${asking}\n${used}${reading}`, fields);
      const said = JSON.stringify(ended.events);
      expect(said).not.toContain('of another tenant');
      if (ended.code === 0) expect(said).toContain('of its own');
      else expect(ended.error).toMatchObject({ code: 422, stage: 'stack' });
    }
  });

  it("is not pulled with this host's own credentials", async () => {
    const auth = Buffer.from('robot:secret-word').toString('base64');
    const file = join(ground.folder, 'auth.json');
    await writeFile(file, JSON.stringify({ auths: { [closed.address]: { auth } } }));
    count += 1;
    await ground.repository(`policy-${count}`, { Dockerfile: `FROM ${foreign.asked}\n${reading}` });
    const ended = await ground.build(ground.dockerfileRequest(`policy-${count}`), {
      env: { REGISTRY_AUTH_FILE: file },
    });
    expect(JSON.stringify(ended.events)).not.toContain('of another tenant');
    expect(ended).toMatchObject({ code: 1, error: { code: 502 } });
  });
});

describe('an image of this host that the request permits', () => {
  const permitted: [string, () => string, () => string][] = [
    ['a name', () => foreign.local, () => foreign.local],
    ['an id', () => foreign.id, () => foreign.id],
    ['an id by its name', () => foreign.id, () => foreign.local],
    ['a name by its id', () => foreign.local, () => `sha256:${foreign.id}`],
    ['a digest', () => foreign.local, () => foreign.digest],
    ['a name whose registry is not there', () => foreign.gone, () => foreign.gone],
  ];
  it.each(ways.flatMap(way => permitted.map(each => [...way, ...each] as const)))(
    'is read by %s of %s',
    async (_way, dockerfile, _kind, image, entry) => {
      const ended = await buildOf(dockerfile(image()), { base_images: [entry()] });
      expect(ended).toMatchObject({ code: 0 });
      expect(JSON.stringify(ended.events)).toContain('of another tenant');
    },
  );

  it('stays, also where it is a stage without a step of its own', async () => {
    const dockerfile = `FROM ${foreign.local} AS a\nFROM a AS b\nFROM ${foreign.id} AS c\nFROM scratch\nCOPY --from=b /word /\nCOPY --from=c /word /\n`;
    expect(await buildOf(dockerfile, { base_images: [foreign.local] })).toMatchObject({ code: 0 });
    expect(await ground.inside(`podman image inspect --format '{{.Id}}' ${foreign.local}`)).toBe(foreign.id);
  });

  it('does not allow another image, nor a name of this host with the same id', async () => {
    const tiny = await ground.podman.ensureTinyImage();
    expect(await buildOf(`FROM ${foreign.local}\n`, { base_images: [tiny] })).toMatchObject({
      error: { code: 422 },
    });
    expect(await buildOf(`FROM ${foreign.gone}\n`, { base_images: [foreign.id] })).toMatchObject({
      error: { code: 502 },
    });
  });

  it('but that is not there is named', async () => {
    const ended = await buildOf('FROM localhost/nothing:1\n', { base_images: ['localhost/nothing:1'] });
    expect(ended).toMatchObject({
      code: 1,
      error: { code: 422, message: 'base image localhost/nothing:1 is not on this host' },
    });
  });
});

describe('a base image by a tag', () => {
  it('is what its registry has now, not what this host has of it', async () => {
    const name = `${ground.registry.address}/moving:1`;
    await ground.inside(`podman tag ${foreign.local} ${name} && podman push -q ${name}`);
    const tiny = await ground.podman.ensureTinyImage();
    await ground.inside(`podman tag ${tiny} ${name}`);
    const ended = await buildOf(`FROM ${name}\n${reading}`);
    expect(ended).toMatchObject({ code: 0 });
    expect(JSON.stringify(ended.events)).toContain('of another tenant');
  });
});
