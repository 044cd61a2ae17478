import { invalid } from './names.ts';

// Values that mean something inside a container, as create and exec take them: each is returned, or a VerbError 400.

/** Variables for a program in a container. */
export function checkEnv(env: Record<string, string>, field: string): Record<string, string> {
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name)) throw invalid(field, 'expected names without "=", and not empty');
    if (value.includes('\0')) throw invalid(`${field}.${name}`, 'expected text without NUL');
  }
  return env;
}

/** An absolute path in the container, without what would make two of one. */
export function checkContainerPath(path: string, field: string): string {
  const parts = path.split('/').filter(part => part !== '' && part !== '.');
  if (!path.startsWith('/') || path.length > 4096 || parts.includes('..') || path.includes('\0'))
    throw invalid(field, 'expected an absolute path without ".."');
  return `/${parts.join('/')}`;
}

/** `user`, `user:group`, by name or number. */
export function checkUser(user: string, field: string): string {
  const part = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}';
  if (!new RegExp(`^${part}(?::${part})?$`).test(user))
    throw invalid(field, 'expected a user, or user:group, by name or number');
  return user;
}

/** A day: longer is a mistake, and a wait that nobody sees the end of. */
const maxStopTimeoutS = 86_400;

/** How many seconds a container gets to stop in. */
export function checkStopTimeout<T extends number | undefined>(timeoutS: T, field: string): T {
  if (timeoutS !== undefined && timeoutS > maxStopTimeoutS)
    throw invalid(field, `expected 0 to ${maxStopTimeoutS} seconds`);
  return timeoutS;
}
