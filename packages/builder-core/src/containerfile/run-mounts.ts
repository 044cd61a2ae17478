import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Flag } from './instruction.ts';

/** The options of a mount with the form of their values, in the order in which they are rendered. `sharing` is not rendered. */
const mountOptions: Record<string, RegExp> = {
  type: /^(?:cache|tmpfs)$/,
  id: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
  target: /^\/[A-Za-z0-9_./-]*$/,
  sharing: /^(?:shared|private|locked)$/,
  uid: /^[0-9]{1,9}$/,
  gid: /^[0-9]{1,9}$/,
  mode: /^[0-7]{3,4}$/,
};

/** The options of a mount of memory, or of a cache folder that belongs to the build. */
type Mount = ReadonlyMap<string, string>;

/** Reads a `--mount` flag. Returns undefined for a flag that asks for anything but a tmpfs or a cache. */
export function readMount({ name, value }: Flag): Mount | undefined {
  if (name !== 'mount' || value === undefined) return undefined;
  const options = new Map<string, string>();
  for (const option of value.split(',')) {
    const [, word = '', given = ''] = /^([a-z]+)=(.*)$/.exec(option) ?? [];
    const key = word === 'dst' || word === 'destination' ? 'target' : word;
    const values = Object.hasOwn(mountOptions, key) ? mountOptions[key] : undefined;
    if (values?.test(given) !== true || options.has(key)) return undefined;
    options.set(key, given);
  }
  const target = options.get('target');
  if (target === undefined || target.split('/').includes('..')) return undefined;
  const isCache = options.get('type') === 'cache';
  const isTmpfs =
    options.get('type') === 'tmpfs' && !['id', 'sharing', 'uid', 'gid'].some(key => options.has(key));
  return isCache || isTmpfs ? options : undefined;
}

/**
 * Rewrites mounts with an id for each cache, their options in one order, and without `sharing`. A cache lasts for one build,
 * whose steps run one after the other, so `sharing` is not needed. For `sharing=locked`, the buildah of Debian 12 creates and
 * opens the file `buildah-cache-lockfile` in the cache as root; a step could put a symlink there that leads to any file of
 * the host.
 *
 * @throws Error for a flag that `readMount` refuses
 */
export function normaliseMounts(flags: readonly Flag[]): Flag[] {
  return flags.map(flag => {
    const mount = readMount(flag);
    if (mount === undefined) throw new Error(`--${flag.name} is not a mount that a build may have`);
    const named = new Map(mount);
    if (mount.get('type') === 'cache' && !mount.has('id')) named.set('id', idOf(mount.get('target') ?? ''));
    const value = Object.keys(mountOptions)
      .filter(key => key !== 'sharing' && named.has(key))
      .map(key => `${key}=${named.get(key)}`)
      .join(',');
    return { name: 'mount', value };
  });
}

/**
 * Returns a plain name for a cache without an id. buildah would use the target as the id, and the id as a path below the
 * folder of all caches; a symlink in another cache could make such a path lead anywhere.
 */
function idOf(target: string): string {
  const path = posix.join('/', target, '/');
  return `target-${createHash('sha256').update(path).digest('hex').slice(0, 16)}`;
}
