import { readRegularFile } from '../regular-file.ts';
import { errorMessage } from '../unknown-values.ts';
import { UnusableError } from '../unusable.ts';

/** A secret that cannot be used. The message names the file and says what to do. */
export class SecretError extends UnusableError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SecretError';
  }
}

const maxBytes = 64 * 1024;

/**
 * Reads a secret from a file that only its owner can read (docs/contract.md §3).
 *
 * @returns the secret without surrounding white space, never empty
 * @throws SecretError
 */
export async function readSecretFile(path: string): Promise<string> {
  try {
    const text = await readRegularFile(path, {
      maxBytes,
      check({ mode }) {
        if ((mode & 0o077) !== 0)
          throw new SecretError(
            `${path} has mode ${(mode & 0o777).toString(8)}: group or world can read it (chmod 600)`,
          );
      },
    });
    const secret = text.trim();
    if (secret === '') throw new SecretError(`${path} is empty`);
    return secret;
  } catch (error) {
    if (error instanceof SecretError) throw error;
    if (error instanceof UnusableError) throw new SecretError(error.message, { cause: error });
    throw new SecretError(`${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}
