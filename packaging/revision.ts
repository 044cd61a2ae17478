import { ChildError, runChild } from '@coold/runtime';

/** Which state of the repository is built. */
export interface Revision {
  /** Twelve digits, and ", changed" where files differ from the commit; "unknown" outside of a repository. */
  commit: string;
  /** When the commit was made: the time of every file in what is built, in seconds since 1970. */
  epoch: string;
}

/** Where neither a repository nor SOURCE_DATE_EPOCH says when. */
const noEpoch = '1767225600';

/**
 * Reads the state of the repository. SOURCE_DATE_EPOCH in the environment wins over the time of the commit.
 *
 * @throws Error when SOURCE_DATE_EPOCH is no number of seconds
 */
export async function readRevision(root: string): Promise<Revision> {
  const [head, time] = ((await git(root, 'log', '-1', '--format=%H %ct')) ?? '').trim().split(' ');
  const changes = await git(root, 'status', '--porcelain', '--untracked-files=no');
  const epoch = process.env['SOURCE_DATE_EPOCH'] ?? time ?? noEpoch;
  if (!/^\d{1,12}$/.test(epoch))
    throw new Error(`SOURCE_DATE_EPOCH=${JSON.stringify(epoch)}: expected seconds`);
  if (head === undefined || head === '') return { commit: 'unknown', epoch };
  return { commit: `${head.slice(0, 12)}${changes === '' ? '' : ', changed'}`, epoch };
}

/** What git prints; undefined without git or outside of a repository. */
async function git(root: string, ...args: string[]): Promise<string | undefined> {
  try {
    // A checkout of another user, as in a container, is refused otherwise.
    const safe = ['-c', `safe.directory=${root}`];
    const { code, stdout } = await runChild('git', [...safe, '-C', root, ...args], { timeoutMs: 30_000 });
    return code === 0 ? stdout : undefined;
  } catch (error) {
    if (error instanceof ChildError && error.reason === 'spawn') return undefined;
    throw error;
  }
}
