import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credentials } from './repo-url.ts';

/** Credentials as containers' tools read them (containers-auth.json(5)), in a file that has no name. */
export interface AuthFile extends AsyncDisposable {
  /** Leads to it as long as this process has it open. */
  path: string;
  /** A text without the credentials: a registry may say again what it was told. */
  redact(text: string): string;
}

/**
 * Opens a file with the login of one registry, in memory where the machine has a folder for that. Whatever happens to this
 * process or to the machine, nothing of the file stays: it has no name from the start, or, on a file system that has no such
 * files, none before anything is in it.
 *
 * @param auth absent: a file that knows nobody, so that the host's own credentials are not used in its stead
 * @param folder where it goes when there is no room in memory
 * @throws Error
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

/** Of open(2), in every architecture that Node runs on; Node does not name it. */
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
