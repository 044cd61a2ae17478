import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { UnusableError } from './unusable.ts';

/** Far more than people write into a file of settings, keys or certificates. */
const usualBytes = 4 * 1024 * 1024;

/**
 * Reads a file that an operator named. The name may be that of a device or a pipe, which never ends and may never begin;
 * it does not wait for those.
 *
 * @param options.maxBytes longer files are refused; default: 4 MiB
 * @param options.check is called with the open file first, because the path may lead to another file by then; throws
 * when the file must not be used
 * @throws UnusableError naming a file that is not a regular file or is too large
 */
export async function readRegularFile(
  path: string,
  { maxBytes = usualBytes, check }: { maxBytes?: number; check?: (stats: Stats) => void } = {},
): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new UnusableError(`${path} is not a regular file`);
    check?.(stats);
    const tooLong = () => new UnusableError(`${path} is larger than ${maxBytes} bytes`);
    if (stats.size > maxBytes) throw tooLong();
    // The file may grow while it is read, and files of /proc do not report their size.
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of file.createReadStream({ end: maxBytes, autoClose: false })) {
      const bytes = Buffer.from(chunk);
      length += bytes.length;
      if (length > maxBytes) throw tooLong();
      chunks.push(bytes);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    await file.close();
  }
}
