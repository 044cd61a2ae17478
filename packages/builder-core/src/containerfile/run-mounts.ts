import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Flag } from './instruction.ts';

/** What may be said of a mount, each at most once, in the order in which it is rendered. */
const mountOptions: Record<string, RegExp> = {
  type: /^(?:cache|tmpfs)$/,
  id: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
  target: /^\/[A-Za-z0-9_./-]*$/,
  sharing: /^(?:shared|private|locked)$/,
  uid: /^[0-9]{1,9}$/,
  gid: /^[0-9]{1,9}$/,
  mode: /^[0-7]{3,4}$/,
};

/** Memory, or a folder of the build's own. */
type Mount = ReadonlyMap<string, string>;

/** undefined for a flag that asks for anything else of the host. */
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

/** With an id for each cache, and in one order. @throws Error for what `readMount` does not know */
export function normaliseMounts(flags: readonly Flag[]): Flag[] {
  return flags.map(flag => {
    const mount = readMount(flag);
    if (mount === undefined) throw new Error(`--${flag.name} is no mount that a build may have`);
    const named = new Map(mount);
    if (mount.get('type') === 'cache' && !mount.has('id')) named.set('id', idOf(mount.get('target') ?? ''));
    const value = Object.keys(mountOptions)
      .filter(key => named.has(key))
      .map(key => `${key}=${named.get(key)}`)
      .join(',');
    return { name: 'mount', value };
  });
}

/**
 * A cache without an id has its target for one, which buildah would take for a path below the folder of all caches: through
 * a symlink in another cache it leads anywhere. A plain name does not.
 */
function idOf(target: string): string {
  const path = posix.join('/', target, '/');
  return `target-${createHash('sha256').update(path).digest('hex').slice(0, 16)}`;
}
