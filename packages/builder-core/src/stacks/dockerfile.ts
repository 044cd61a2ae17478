import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure } from '../build-failure.ts';
import { readContainerfile } from '../containerfile/parse.ts';
import { inRepository } from '../containerfile/refusal.ts';
import { checkRestrictions } from '../containerfile/restrictions.ts';
import { decodeSource } from '../containerfile/source-lines.ts';
import { resolveInside } from '../repository/inside-repository.ts';
import type { DockerfileConfig } from '../request/build-request.ts';
import type { Stack } from './stack.ts';

const maxBytes = 1 << 20;

/** Plans a build of the repository's own Containerfile or Dockerfile, RUN steps included. @throws BuildFailure 422 */
export const planDockerfile: Stack<DockerfileConfig> = async (checkout, config) => {
  const containerfile = readContainerfile(decodeSource(await containerfileOf(checkout, config.dockerfile)));
  checkRestrictions(containerfile.instructions, inRepository);
  return {
    containerfile,
    context: checkout,
    ignore: await ignoreOf(checkout),
    buildArgs: config.buildArgs,
    ...(config.target === undefined ? {} : { target: config.target }),
    runs: true,
  };
};

// The Containerfile and the ignore file are read here, and buildah gets copies. buildah itself would follow a symlink out of
// the repository (or into /dev/zero), and would run the C preprocessor, which can include any file of the host, on a
// Containerfile whose name ends in ".in".

async function containerfileOf(checkout: string, named: string | undefined): Promise<Buffer> {
  if (named !== undefined) return readInside(checkout, named, 'dockerfile_cfg.dockerfile');
  const found = await firstOf(checkout, ['Containerfile', 'Dockerfile']);
  if (found === undefined)
    throw new BuildFailure(
      422,
      'stack',
      'dockerfile_cfg.dockerfile: there is neither a Containerfile nor a Dockerfile at the root of the repository',
    );
  return readInside(checkout, found, 'dockerfile_cfg.dockerfile');
}

async function ignoreOf(checkout: string): Promise<string> {
  const found = await firstOf(checkout, ['.containerignore', '.dockerignore']);
  return found === undefined ? '' : (await readInside(checkout, found, 'the repository')).toString('utf8');
}

async function firstOf(checkout: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const there = await lstat(join(checkout, name)).catch(() => undefined);
    if (there !== undefined) return name;
  }
  return undefined;
}

async function readInside(checkout: string, name: string, field: string): Promise<Buffer> {
  const { path, stats } = await resolveInside(checkout, name, field);
  const named = `${field}: ${JSON.stringify(name)}`;
  if (!stats.isFile()) throw new BuildFailure(422, 'stack', `${named} is not a file`);
  if (stats.size > maxBytes)
    throw new BuildFailure(422, 'stack', `${named} has ${stats.size} bytes, more than ${maxBytes}`);
  return await readFile(path);
}
