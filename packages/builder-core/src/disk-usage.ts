import { runChild } from '@coold/runtime/child';

const timeoutMs = 120_000;

/**
 * What folders take up on the disk, each up to where another file system is mounted. No symlink is followed.
 *
 * @returns bytes; folders that are not there (any more) take none
 * @throws ChildError
 */
export async function diskUsage(folders: readonly string[], signal: AbortSignal): Promise<number> {
  const args = ['--summarize', '--one-file-system', '--block-size=1', '--total', '--', ...folders];
  // What goes while it is walked makes it end with 1; what it saw counts.
  const { stdout } = await runChild('du', args, { timeoutMs, signal, env: { ...process.env, LC_ALL: 'C' } });
  return Number(/^(\d+)\ttotal$/m.exec(stdout)?.[1] ?? 0);
}
