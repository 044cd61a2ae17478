import { realpath } from 'node:fs/promises';
import { denied } from './deny.ts';

/**
 * Checks bind sources against COOLD_ALLOWED_MOUNT_SOURCES (docs/contract.md §3). The real path after all symlinks
 * counts, and Podman gets that path. A path that is replaced after the check is caught at the next start; what Podman
 * resolves itself in between cannot be controlled here.
 */
export interface MountSources {
  /** @returns the real path @throws VerbError 403 naming the field: outside, missing, or not absolute */
  resolve(source: string, field: string): Promise<string>;
  /** For an existing container: its source must still be its own real path, and allowed. @throws VerbError 403 */
  recheck(source: string, field: string): Promise<void>;
}

/** @param allowed absolute paths; each is allowed with everything below it */
export function mountSources(allowed: readonly string[]): MountSources {
  async function resolve(source: string, field: string): Promise<string> {
    if (!source.startsWith('/') || source.includes('\0')) throw denied(field, 'expected an absolute path');
    if (allowed.length === 0)
      throw denied(field, 'no path of this host may be mounted: COOLD_ALLOWED_MOUNT_SOURCES is not set');
    const real = await realpath(source).catch(() => undefined);
    // The same message for both, so that a caller cannot learn which paths exist outside the allowed ones.
    const refused = denied(field, 'is missing or lies outside COOLD_ALLOWED_MOUNT_SOURCES');
    if (real === undefined) throw refused;
    // An allowed path may itself be a symlink, and may not exist yet.
    const roots = await Promise.all(allowed.map(path => realpath(path).catch(() => undefined)));
    if (!roots.some(root => root !== undefined && contains(root, real))) throw refused;
    return real;
  }
  return {
    resolve,
    async recheck(source, field) {
      if ((await resolve(source, field)) !== source)
        throw denied(field, `the bind source ${source} leads to another place than when it was checked`);
    },
  };
}

function contains(root: string, path: string): boolean {
  return path === root || path.startsWith(root === '/' ? '/' : `${root}/`);
}
