import { posix } from 'node:path';
import { VerbError } from '@coold/errors';
import { type ContainerMount, layersOf, type PathKind, pathKind } from '../../podman/container-files.ts';
import type { PodmanContainers } from '../../podman/containers.ts';
import { denied, isOfKernel } from './deny.ts';

/** The kernel's own limit of symlinks per path. */
const maxLinks = 40;

/**
 * Returns where a mount will lie once the runtime has followed the symlinks of the container's files.
 *
 * @param lookAt returns what is at a path whose parents are not symlinks
 * @throws VerbError 400 for a path with a symlink loop
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
    // By then the runtime has mounted the kernel's file systems there, which hide the image's files at that path.
    if (isOfKernel(here)) return posix.join(here, ...others);
    const found = await lookAt(here);
    if (found.kind === 'absent') return posix.join(here, ...others);
    if (found.kind === 'link') {
      links += 1;
      if (links > maxLinks)
        throw new VerbError('invalid_request', `mount target ${target}: too many symlinks`);
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

/** Looks at a path below the existing mounts, each given by its real path. */
export type LookAt = (path: string, mounted: readonly ContainerMount[]) => Promise<PathKind>;

/**
 * Refuses mounts over the kernel's file systems (docs/contract.md §3). Symlinks are followed as the runtime follows
 * them: it mounts upper paths first, and a volume's content affects the mounts below it.
 *
 * @param fieldOf returns the request's field for a mount's target, for refusals
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

/**
 * Returns a function that looks at a container's files, whether it runs or not.
 *
 * @param container Podman's description of it
 */
export function filesOf(
  containers: Pick<PodmanContainers, 'pathKind'>,
  id: string,
  container: Record<string, unknown>,
  signal: AbortSignal,
): LookAt {
  const layers = layersOf(container);
  return layers === undefined
    ? path => containers.pathKind(id, path, signal)
    : (path, mounted) => pathKind(layers, mounted, path);
}
