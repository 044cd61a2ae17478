import { posix } from 'node:path';
import type { ContainerMount, PathKind } from '../podman/container-files.ts';
import { denied, isOfKernel } from './deny.ts';
import { VerbError } from './verb-error.ts';

/** As many as the kernel follows. */
const maxLinks = 40;

/**
 * Where a mount will lie once the runtime has followed the symlinks of the container's files.
 *
 * @param lookAt what lies at a path whose parents are no symlinks
 * @throws VerbError 400 for a path that leads round in circles
 */
export async function resolveTarget(
  target: string,
  lookAt: (path: string) => Promise<PathKind>,
): Promise<string> {
  let links = 0;
  let done = '/';
  let rest = partsOf(target);
  for (;;) {
    const [part, ...others] = rest;
    if (part === undefined) return done;
    const here = posix.join(done, part);
    // By then the runtime has mounted the kernel's own there, which hides what the image has at that path.
    if (isOfKernel(here)) return posix.join(here, ...others);
    const found = await lookAt(here);
    if (found.kind === 'absent') return posix.join(here, ...others);
    if (found.kind === 'link') {
      links += 1;
      if (links > maxLinks) throw new VerbError(400, `mount target ${target}: too many symlinks`);
      rest = [...partsOf(posix.resolve(done, found.target)), ...others];
      done = '/';
    } else {
      done = here;
      rest = others;
    }
  }
}

const partsOf = (path: string) =>
  posix
    .normalize(path)
    .split('/')
    .filter(part => part !== '');

/** Looks at a path under what is mounted already, each at its real path. */
export type LookAt = (path: string, mounted: readonly ContainerMount[]) => Promise<PathKind>;

/**
 * Refuses mounts that would lie over what is the kernel's (docs/contract.md §3), symlinks followed as the runtime follows
 * them: it mounts what lies higher first, and what a volume holds counts for the mounts below it.
 *
 * @param fieldOf the field of a request that a refusal names, for a mount's target
 * @throws VerbError 403 naming the field
 */
export async function denyKernelTargets(
  mounts: readonly ContainerMount[],
  fieldOf: (target: string) => string,
  lookAt: LookAt,
): Promise<void> {
  const mounted: ContainerMount[] = [];
  const depth = ({ target }: ContainerMount) => partsOf(target).length;
  for (const { target, source } of mounts.toSorted((a, b) => depth(a) - depth(b))) {
    const real = await resolveTarget(target, path => lookAt(path, mounted));
    if (isOfKernel(real))
      throw denied(fieldOf(target), `the mount at ${target} would lie over ${real}, which is the kernel's`);
    mounted.push({ target: real, source });
  }
}
