import { readFile, rm } from 'node:fs/promises';
import { writeFileAtomically } from '@coold/runtime/atomic-write';
import { isObject } from '@coold/runtime/unknown-values';

/**
 * Removes the credentials of the registry and of the repository's URL from a request.json. A build reads them once, when it
 * begins, and its folder is kept long after that. A file that is missing or is not JSON is left alone.
 *
 * @throws Error when the file can be neither rewritten nor removed
 */
export async function forgetSecretsIn(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const request = text === undefined ? undefined : parse(text);
  if (request === undefined) return;
  const bare = withoutSecrets(request);
  if (bare === request) return;
  await writeFileAtomically(path, JSON.stringify(bare), 0o600).catch(async () => {
    // The disk is full. Removing the secrets matters more than keeping the request.
    await rm(path, { force: true });
  });
}

type Fields = Record<string, unknown>;

/** Returns a request without its secrets, or the same object when it holds none. */
export function withoutSecrets(request: Fields): Fields {
  const { push, repo_url: url } = request;
  const holdsAuth = isObject(push) && 'auth' in push;
  const bareUrl = typeof url === 'string' ? withoutUser(url) : url;
  if (!holdsAuth && bareUrl === url) return request;
  const bare = holdsAuth ? { ...request, push: {} } : { ...request };
  return 'repo_url' in request ? { ...bare, repo_url: bareUrl } : bare;
}

/** Removes user and password from an https URL. A token may be in either. In an ssh URL the user is part of the address. */
function withoutUser(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.protocol !== 'https:' || (url.username === '' && url.password === '')) return text;
  url.username = '';
  url.password = '';
  return url.href;
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
