import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { UnusableError } from './unusable.ts';

/** Far above what people write into a file of settings, keys or certificates. */
const usualBytes = 4 * 1024 * 1024;

/**
 * Reads a file that an operator names. Such a name may be that of a pipe, which has no end and may have no beginning, or of a
 * device: neither is waited for.
 *
 * @param options.maxBytes longer files are refused; 4 MiB by default
 * @param options.check looks at the open file first, and throws what is wrong with it: the path may lead elsewhere by then
 * @throws UnusableError naming a file that is not a regular file or is too long; the error of the system otherwise, such as ENOENT
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
    // It may grow while it is read, and files of /proc do not say how long they are.
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
