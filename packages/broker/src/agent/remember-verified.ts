import { hash } from 'node:crypto';

/**
 * Remembers the claims of verified tokens by the token's hash: a good signature stays good, and checking it is most of
 * the cost of accepting a host. The caller checks what changes with time at each use. Beyond `max` the least recently
 * used is forgotten. Refused tokens are not remembered, so an attacker cannot fill it.
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
