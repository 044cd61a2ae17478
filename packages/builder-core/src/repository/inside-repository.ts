import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { BuildFailure } from '../build-failure.ts';

export interface Found {
  /** The path without symlinks. */
  path: string;
  stats: Stats;
}

/**
 * Resolves a path that a request or a repository names, and requires the result to be inside the repository. Symlinks are
 * content of the repository and may lead anywhere.
 *
 * @param root the path of the checkout, without symlinks
 * @throws BuildFailure 422 naming the field when the path does not exist or leads outside
 */
export async function resolveInside(root: string, path: string, field: string): Promise<Found> {
  const named = `${field}: ${JSON.stringify(path)}`;
  const real = await realpath(join(root, path)).catch((error: NodeJS.ErrnoException) => {
    throw new BuildFailure(422, 'stack', `${named} ${lookupFailures[error.code ?? ''] ?? error.message}`);
  });
  if (real !== root && !real.startsWith(root + sep))
    throw new BuildFailure(422, 'stack', `${named} leads out of the repository`);
  return { path: real, stats: await stat(real) };
}

const lookupFailures: Record<string, string> = {
  ENOENT: 'is not in the repository',
  ENOTDIR: 'is not in the repository: a part of it is not a folder',
  ELOOP: 'is a symlink that leads to itself',
  ENAMETOOLONG: 'is too long a name',
};
