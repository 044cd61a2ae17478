import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The file of a build's scratch folder that names no login. */
export function noLoginsIn(scratch: string): string {
  return join(scratch, 'no-logins.json');
}

/**
 * Tells the tools of a build that they have no login at any registry (containers-auth.json(5)), since those of this host are
 * not the build's. A tool that needs the build's own one is told of it apart, see auth-file.ts.
 *
 * @throws Error when the file cannot be written
 */
export async function writeNoLogins(scratch: string): Promise<void> {
  await writeFile(noLoginsIn(scratch), '{"auths":{}}', { mode: 0o600 });
}
