import { hash } from 'node:crypto';

/**
 * Remembers what a token was verified to say, by the token's hash: a signature that was good stays good, and checking it
 * is most of what taking a host in costs. What changes with time is for the caller to check at each use. Of more than
 * `max` the longest unused is forgotten; what was refused is not remembered, so nobody can fill it with rubbish.
 */
export function rememberVerified<T>(
  verify: (token: string) => Promise<T>,
  max: number,
): (token: string) => Promise<T> {
  const remembered = new Map<string, T>();
  return async token => {
    const key = hash('sha256', token, 'base64');
    const known = remembered.get(key);
    if (known !== undefined) {
      remembered.delete(key);
      remembered.set(key, known);
      return known;
    }
    const verified = await verify(token);
    remembered.set(key, verified);
    const [oldest] = remembered.keys();
    if (remembered.size > max && oldest !== undefined) remembered.delete(oldest);
    return verified;
  };
}
