import { readFile } from 'node:fs/promises';
import { expectExec, type FileSource, type Host } from './provider.ts';

/** A host that can run programs, through which files are copied. */
type Runs = Pick<Host, 'name' | 'exec'>;

/** Implements `Host.put` with a shell on the host. */
export async function putFile(
  host: Runs,
  source: FileSource,
  remotePath: string,
  mode: number,
  timeoutMs = 60_000,
): Promise<void> {
  const input = typeof source === 'object' && 'file' in source ? await readFile(source.file) : source;
  await expectExec(host, ['sh', '-c', receive, 'sh', remotePath, mode.toString(8)], { input, timeoutMs });
}

/** Implements `Host.get`. The file is sent as text, so that all bytes arrive unchanged. */
export async function getFile(host: Runs, remotePath: string, timeoutMs = 60_000): Promise<Buffer> {
  const encoded = await expectExec(host, ['base64', '-w0', '--', remotePath], {
    maxOutputBytes: 1 << 30,
    timeoutMs,
  });
  return Buffer.from(encoded, 'base64');
}

/**
 * Writes stdin beside the file and renames it into place: a running program can be replaced, and readers see a complete
 * file.
 */
const receive =
  'set -eu; mkdir -p -- "$(dirname -- "$1")"; umask 077; cat >"$1.incoming"; chmod "$2" "$1.incoming"; mv -fT -- "$1.incoming" "$1"';
