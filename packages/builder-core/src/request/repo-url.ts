import { RequestError } from './request-error.ts';

/** The protocol that git uses. `file`, a repository on the disk of this machine, is for tests. */
export type Protocol = 'https' | 'ssh' | 'git' | 'file';

export interface Credentials {
  username: string;
  password: string;
}

/** The address of a repository. */
export interface RepoUrl {
  protocol: Protocol;
  /** The URL for git. An https URL holds no user and password: every user of a host can see the arguments of git. */
  url: string;
  credentials?: Credentials;
}

const expected =
  'expected a repository such as https://host/path.git, ssh://git@host/path.git, git://host/path.git or git@host:path.git, at most 2048 characters';

/** `git@host:path`, another notation for ssh. `::` is refused, since it names a helper program, and so is a URL without its slashes. */
const scpPattern =
  /^(?!(?:https?|ssh|git|file|ext|fd):)(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?:[^:\s/-][^\s]*$/;
/** The characters of a URL: printable ASCII without quotes and backslashes, which parsers treat differently. */
const urlCharacters = /^[!#-&(-;=?-[\]^_a-z{|}~]{1,2048}$/;

/**
 * Reads repo_url. Only network protocols are accepted, never a program (`ext::`), a local path or an option of git.
 *
 * @param allowFile accepts `file://` too, for tests
 * @throws RequestError naming the field
 */
export function readRepoUrl(text: string, field: string, allowFile = false): RepoUrl {
  const refuse = (why = expected) => new RequestError(field, why);
  if (!urlCharacters.test(text)) throw refuse();
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    if (!scpPattern.test(text)) throw refuse();
    return { protocol: 'ssh', url: text };
  }
  if (!isProtocol(scheme) || (scheme === 'file' && !allowFile)) throw refuse();
  if (!URL.canParse(text)) throw refuse();
  const url = new URL(text);
  if (url.search !== '' || url.hash !== '') throw refuse();
  if (scheme === 'file') return { protocol: scheme, url: text };
  // git refuses a path or host with a leading dash, too. Refusing it here names the field.
  if (!/^\[?[A-Za-z0-9:]/.test(url.hostname) || !/^\/[^-]/.test(url.pathname)) throw refuse();
  const credentials = readCredentials(url, refuse);
  if (scheme === 'https') {
    url.username = '';
    url.password = '';
    return { protocol: scheme, url: url.href, ...(credentials === undefined ? {} : { credentials }) };
  }
  if (credentials === undefined) return { protocol: scheme, url: url.href };
  if (scheme === 'git') throw refuse('the git protocol has no user');
  if (credentials.password !== '') throw refuse('a password does not work over ssh: use a key, or https');
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(credentials.username)) throw refuse();
  return { protocol: scheme, url: url.href };
}

function isProtocol(scheme: string): scheme is Protocol {
  return ['https', 'ssh', 'git', 'file'].includes(scheme);
}

function readCredentials({ username, password }: URL, refuse: () => RequestError): Credentials | undefined {
  if (username === '' && password === '') return undefined;
  try {
    const decoded = { username: decodeURIComponent(username), password: decodeURIComponent(password) };
    // biome-ignore lint/suspicious/noControlCharactersInRegex: git's credential protocol is lines
    if (/[\u0000-\u001f\u007f]/.test(decoded.username + decoded.password)) throw refuse();
    return decoded;
  } catch {
    throw refuse();
  }
}
