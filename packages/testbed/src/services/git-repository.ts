import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runChild } from '@coold/runtime';

/** A real repository with a working tree, to be served. */
export interface GitRepository {
  path: string;
  /** @throws Error with git's own words */
  git(...args: string[]): Promise<string>;
  /** Writes files (a symlink as `{ symlink }`) and commits everything. Returns the id of the commit. */
  commit(files?: Record<string, string | Buffer | { symlink: string }>): Promise<string>;
}

const author = ['-c', 'user.name=test', '-c', 'user.email=test@example', '-c', 'commit.gpgsign=false'];

/** Creates a repository with the branch `main`. */
export async function createRepository(path: string): Promise<GitRepository> {
  await mkdir(path, { recursive: true });
  const git = async (...args: string[]) => {
    const { code, stdout, stderr } = await runChild('git', [...author, ...args], {
      cwd: path,
      timeoutMs: 120_000,
      env: {
        PATH: process.env['PATH'],
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        HOME: path,
      },
    });
    if (code !== 0) throw new Error(`git ${args.join(' ')}: exit ${code}: ${stderr}`);
    return stdout.trim();
  };
  await git('init', '--quiet', '--initial-branch=main');
  return {
    path,
    git,
    async commit(files = {}) {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(join(path, dirname(name)), { recursive: true });
        if (typeof content === 'string' || Buffer.isBuffer(content))
          await writeFile(join(path, name), content);
        else await symlink(content.symlink, join(path, name));
      }
      await git('add', '--all', '--force');
      await git('commit', '--quiet', '--allow-empty', '--message=change');
      return git('rev-parse', 'HEAD');
    },
  };
}
