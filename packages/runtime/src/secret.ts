import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** A secret that cannot be used; the message names the file and what to do. */
export class SecretError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SecretError';
  }
}

const maxBytes = 64 * 1024;

/**
 * Reads a secret from a file: trimmed, not empty, and readable by its owner alone (docs/contract.md §3).
 *
 * @throws SecretError
 */
export async function readSecretFile(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      // The open file is examined, not the name, which may be swapped in between.
      const stat = await file.stat();
      if (!stat.isFile()) throw new SecretError(`${path} is not a regular file`);
      if ((stat.mode & 0o077) !== 0)
        throw new SecretError(
          `${path} has mode ${(stat.mode & 0o777).toString(8)}: group or world can read it (chmod 600)`,
        );
      if (stat.size > maxBytes) throw new SecretError(`${path} is larger than ${maxBytes} bytes`);
      const secret = (await file.readFile('utf8')).trim();
      if (secret === '') throw new SecretError(`${path} is empty`);
      return secret;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof SecretError) throw error;
    throw new SecretError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
