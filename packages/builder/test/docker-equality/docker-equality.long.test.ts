// Whether an image of ours has the configuration that `docker build` gives it: docker-configs.json, which derive.ts wrote
// from a Docker engine 26.1.5 with BuildKit, Debian 13's docker.io. Their buildah is this machine's, or that of another root:
// `COOLD_TEST_BUILDAH_ROOT=/srv/trixie vitest run …/docker-equality.long.test.ts`
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGround, type Ground } from '../ground.ts';
import { filesScript, officialImages } from './bases.ts';
import { cases, commonFiles } from './cases.ts';
import { configOf } from './config-of.ts';
import expected from './docker-configs.json' with { type: 'json' };
import { withSystemOf } from './system-of-root.ts';

let ground: Ground;
let env: Record<string, string>;

beforeAll(async () => {
  ground = await createGround();
  const { folder, registry, inside } = ground;
  const files = join(folder, 'official');
  await mkdir(files);
  await inside(`set -- ${files}; ${filesScript()}`);
  const bud = 'buildah bud --isolation=chroot --format=docker --identity-label=false';
  await writeFile(join(folder, 'official-files'), 'FROM scratch\nCOPY . /\n');
  await inside(`${bud} -t localhost/files -f ${folder}/official-files ${files} >/dev/null`);
  // Only their configuration differs, so nothing but that is built for each. What a RUN in it makes is there already.
  for (const [at, { name, config }] of officialImages.entries()) {
    const file = join(folder, `official-${at}`);
    await writeFile(file, `FROM localhost/files\n${config.replaceAll(/^RUN .*$/gm, '')}\n`);
    const there = `${registry.address}/hub/${name.includes('/') ? name : `library/${name}`}`;
    await inside(
      `${bud} -t ${there} -f ${file} ${folder}/git/site >/dev/null && buildah push -q ${there} && buildah rmi ${there} >/dev/null`,
    );
  }
  // docker.io is this registry, as an operator's mirror would be.
  const registries = join(folder, 'registries.conf');
  const insecure = '[[registry]]\nprefix="127.0.0.1"\nlocation="127.0.0.1"\ninsecure=true\n';
  await writeFile(
    registries,
    `${insecure}[[registry]]\nprefix="docker.io"\nlocation="${registry.address}/hub"\ninsecure=true\n`,
  );
  env = { CONTAINERS_REGISTRIES_CONF: registries };
}, 300_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

const wanted: Record<string, Record<string, unknown> | undefined> = expected;

describe('the configuration of an image is that which docker build gives it:', () => {
  it.each(cases)(
    '$name',
    async ({ name, dockerfile, target, buildArgs = {} }) => {
      const at = cases.findIndex(each => each.name === name);
      await ground.repository(`case-${at}`, { ...commonFiles, Dockerfile: dockerfile });
      const config = { build_args: buildArgs, ...(target === undefined ? {} : { target }) };
      const image = `localhost/case:${at}`;
      const ended = await ground.build(
        { ...ground.dockerfileRequest(`case-${at}`, config), target_image: image },
        { env, under: withSystemOf(process.env['COOLD_TEST_BUILDAH_ROOT']) },
      );
      expect(ended, JSON.stringify(ended.events.slice(-5))).toMatchObject({ code: 0 });
      const inspected = JSON.parse(await ground.inside(`buildah inspect --type=image ${image}`));
      expect(configOf(inspected.Docker.config)).toEqual(wanted[name]);
    },
    120_000,
  );
});
