import { basename, dirname } from 'node:path';
import { runChild } from '@coold/runtime';

/** How an archive is compressed: `closely` takes seconds, `quickly` is for what is compressed already. */
export type Compression = 'closely' | 'quickly';

/**
 * Makes a gzipped tar of a file or folder, with or without its own name. The same files give the same archive: everything in
 * it belongs to root and has the same time.
 *
 * @param epoch the time of every file in it, in seconds since 1970
 * @throws Error with what tar said
 */
export async function pack(
  path: string,
  archive: string,
  {
    epoch,
    compression = 'closely',
    contentOnly = false,
  }: { epoch: string; compression?: Compression; contentOnly?: boolean },
): Promise<void> {
  const gzip = compression === 'closely' ? 'gzip -n' : 'gzip -n -1';
  const args = [
    ...[
      '--sort=name',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=a+rX,u+w,go-w',
      `--mtime=@${epoch}`,
    ],
    ...[`--use-compress-program=${gzip}`, '-cf', archive],
    ...(contentOnly ? ['-C', path, '.'] : ['-C', dirname(path), '--', basename(path)]),
  ];
  const { code, stderr } = await runChild('tar', args, { timeoutMs: 300_000 });
  if (code !== 0) throw new Error(`tar: exit ${code}: ${stderr.trim()}`);
}
