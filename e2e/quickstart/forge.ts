import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createRepository, startGitDaemon } from '@coold/testbed';
import type { Lab } from '../harness/lab/lab.ts';

/** A git server outside the host, because builds cannot reach their own host. */
export interface Forge extends AsyncDisposable {
  /** The URL in a build request. */
  url: string;
  /** Its working tree on this machine. */
  path: string;
}

/** The default port of git's protocol. */
const port = 9418;

/**
 * Creates a repository with a static site, and serves it.
 *
 * @param folder the folder for repositories
 * @param versions the site's one page by version tag, in their order on branch main
 * @throws Error with git's output
 */
export async function startForge(
  folder: string,
  beyond: Lab['beyond'],
  versions: Readonly<Record<string, string>>,
): Promise<Forge> {
  await mkdir(folder, { recursive: true });
  const [repository, daemon] = await Promise.all([
    createRepository(join(folder, 'site')),
    startGitDaemon({ folder, port, address: beyond.address, inside: beyond.netns }),
  ]);
  for (const [tag, page] of Object.entries(versions)) {
    await repository.commit({ 'dist/index.html': `${page}\n` });
    await repository.git('tag', tag);
  }
  // For the reader's own commits.
  await repository.git('config', 'user.name', 'quickstart');
  await repository.git('config', 'user.email', 'quickstart@localhost');
  return {
    path: repository.path,
    url: `${daemon.url}/site`,
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}
