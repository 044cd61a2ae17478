import { refuseFlags } from './instruction-flags.ts';

/** What may be said of a mount, each at most once. */
const mountOptions: Record<string, RegExp> = {
  type: /^(?:cache|tmpfs)$/,
  id: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
  target: /^\/[A-Za-z0-9_./-]*$/,
  sharing: /^(?:shared|private|locked)$/,
};

/**
 * Refuses what a RUN step would have of the host. buildah resolves the source of a `--mount` outside any container, so a
 * symlink in the repository or in an image, or `..`, would bring any folder of the host into the step.
 *
 * @param whose what the message begins with
 * @throws BuildFailure 422
 */
export function checkRunFlags(containerfile: string, whose = ''): void {
  refuseFlags(containerfile, whose, {
    instructions: ['RUN'],
    isHarmless,
    only: 'only --mount=type=tmpfs,target=… and --mount=type=cache,id=…,target=… are possible, the latter with a plain id',
  });
}

/** Memory, or a folder of the build's own: that has a plain name, since a path would follow symlinks in another cache. */
function isHarmless(word: string): boolean {
  const [, list] = /^--mount=(.+)$/.exec(word) ?? [];
  const options = new Map<string, string>();
  for (const option of list?.split(',') ?? []) {
    const [, name = '', value = ''] = /^([a-z]+)=(.*)$/.exec(option) ?? [];
    const key = name === 'dst' || name === 'destination' ? 'target' : name;
    const values = Object.hasOwn(mountOptions, key) ? mountOptions[key] : undefined;
    if (values?.test(value) !== true || options.has(key)) return false;
    options.set(key, value);
  }
  if (options.get('target')?.split('/').includes('..') !== false) return false;
  return options.get('type') === 'tmpfs' || (options.get('type') === 'cache' && options.has('id'));
}

const sharing = /(--mount=[!-~]*?)(?:,sharing=[a-z]+|(?<==)sharing=[a-z]+,)/g;

/**
 * Leaves out what `sharing` says of a cache, in what `checkRunFlags` has let pass: a cache lasts for one build, whose steps
 * come one after the other. For `locked`, the buildah of Debian 12 opens a file `buildah-cache-lockfile` in the cache as root,
 * and makes it: as a symlink that a step has put there, that is any file of the host.
 */
export function withoutSharing(containerfile: string): string {
  return containerfile.replaceAll(sharing, '$1');
}

/** Whether a trigger, which is executed as it is, has a cache that must not be shared. */
export function hasSharing(triggers: string): boolean {
  return triggers.search(sharing) >= 0;
}
