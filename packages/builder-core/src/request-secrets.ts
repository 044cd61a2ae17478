import { readFile, rm } from 'node:fs/promises';
import { writeFileAtomically } from '@coold/runtime/atomic-write';

/**
 * Takes what only a running build needs to know out of a request.json: credentials of a registry, and those in the URL of a
 * repository. A build that has begun has read them, one that has ended needs none; its folder is kept for longer.
 *
 * @throws Error when they are still there
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
    // A full disk: what is left of the request is worth less.
    await rm(path, { force: true });
  });
}

type Fields = Record<string, unknown>;

/** @returns the very same request where it holds none */
export function withoutSecrets(request: Fields): Fields {
  const { push, repo_url: url } = request;
  const holdsAuth = isObject(push) && 'auth' in push;
  const bareUrl = typeof url === 'string' ? withoutUser(url) : url;
  if (!holdsAuth && bareUrl === url) return request;
  const bare = holdsAuth ? { ...request, push: {} } : { ...request };
  return 'repo_url' in request ? { ...bare, repo_url: bareUrl } : bare;
}

/** Over ssh a user is part of the address, and there is no password. A token may stand as the user of an https URL. */
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

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
