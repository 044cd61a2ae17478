import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a registry is told of who asks. */
export interface RegistryLogin {
  /** Host and port, as in the name of an image. */
  registry: string;
  username: string;
  password: string;
}

/** The file with a build's logins, in its scratch folder. */
export function registryLoginsIn(scratch: string): string {
  return join(scratch, 'registry-logins.json');
}

/**
 * Writes down the only logins that a build's tools know (containers-auth.json(5)); those of this host are not the build's.
 *
 * @throws Error when the file cannot be written
 */
export async function writeRegistryLogins(scratch: string, logins: readonly RegistryLogin[]): Promise<void> {
  const auths = logins.map(({ registry, username, password }) => [
    registry,
    { auth: Buffer.from(`${username}:${password}`).toString('base64') },
  ]);
  const text = JSON.stringify({ auths: Object.fromEntries(auths) });
  await writeFile(registryLoginsIn(scratch), text, { mode: 0o600 });
}
