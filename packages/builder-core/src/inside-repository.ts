import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { BuildFailure } from './build-failure.ts';

export interface Found {
  /** Without symlinks. */
  path: string;
  stats: Stats;
}

/**
 * Follows a path that a request or a repository names to what it is, which must lie in the repository: a symlink is
 * content of the repository, and may lead anywhere.
 *
 * @param root the checkout, a real path
 * @throws BuildFailure 422 naming the field when there is nothing, or it lies outside
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
  ENOTDIR: 'is not in the repository: a part of it is no folder',
  ELOOP: 'is a symlink that leads to itself',
  ENAMETOOLONG: 'is too long a name',
};
