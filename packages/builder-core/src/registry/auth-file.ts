import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credentials } from '../request/repo-url.ts';

/** Registry logins as container tools read them (containers-auth.json(5)), in a file without a name. */
export interface AuthFile extends AsyncDisposable {
  /** The path of the file, valid while this process has it open. */
  path: string;
  /** Removes the credentials from a text: a registry may repeat them in its answers. */
  redact(text: string): string;
}

/**
 * Opens a file with the login of one registry, in memory if possible. The file cannot outlive this process or a crash of the
 * machine: it never has a name (O_TMPFILE), or, where the file system lacks that, loses its name before anything is written.
 *
 * @param auth undefined: the file holds no login, which keeps tools from using the logins of the host
 * @param folder where the file is created when memory is not available
 * @throws Error when the file cannot be created or written
 */
export async function openAuthFile(
  registry: string,
  auth: Credentials | undefined,
  folder: string,
): Promise<AuthFile> {
  const entries =
    auth === undefined
      ? {}
      : { [registry]: { auth: Buffer.from(`${auth.username}:${auth.password}`).toString('base64') } };
  const name = `coolify-login-${randomBytes(8).toString('hex')}`;
  const file = await openNameless('/dev/shm')
    .catch(() => openNameless(folder))
    .catch(() => openUnnamed(join(folder, name)));
  try {
    await file.writeFile(JSON.stringify({ auths: entries }));
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    path: `/proc/${process.pid}/fd/${file.fd}`,
    redact: createRedaction(auth),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** O_TMPFILE without O_DIRECTORY (open(2)), the same on every architecture that Node supports. Node has no constant for it. */
const temporaryFile = 0o20000000;

function openNameless(folder: string): Promise<FileHandle> {
  return open(folder, constants.O_RDWR | constants.O_DIRECTORY | temporaryFile, 0o600);
}

async function openUnnamed(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  await rm(path, { force: true });
  return file;
}

function createRedaction(auth: Credentials | undefined): (text: string) => string {
  if (auth === undefined) return text => text;
  const { username, password } = auth;
  const together = `${username}:${password}`;
  const forms = [
    ...[Buffer.from(together).toString('base64'), Buffer.from(together).toString('base64url')],
    ...[encodeURIComponent(password), JSON.stringify(password).slice(1, -1), password],
  ].toSorted((a, b) => b.length - a.length);
  return text => forms.reduce((redacted, form) => redacted.replaceAll(form, '***'), text);
}
