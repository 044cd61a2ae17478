import { invalid } from '../names.ts';

// Validates values that have a meaning inside a container, for create and exec. Each function returns the value or
// throws a VerbError 400.

/** Environment variables for a program in a container. */
export function checkEnv(env: Record<string, string>, field: string): Record<string, string> {
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name)) throw invalid(field, 'expected names without "=", and not empty');
    if (value.includes('\0')) throw invalid(`${field}.${name}`, 'expected text without NUL');
  }
  return env;
}

/** An absolute path in the container, in canonical form. */
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

/** A day. A longer timeout is a mistake, because no caller waits for its end. */
const maxStopTimeoutS = 86_400;

/** The seconds that a container gets to stop. */
export function checkStopTimeout<T extends number | undefined>(timeoutS: T, field: string): T {
  if (timeoutS !== undefined && timeoutS > maxStopTimeoutS)
    throw invalid(field, `expected 0 to ${maxStopTimeoutS} seconds`);
  return timeoutS;
}
