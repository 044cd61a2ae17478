import { BuildFailure } from './build-failure.ts';
import { readImageName } from './image-name.ts';
import type { ImageRecord } from './storage-records.ts';

/** Where an image that a build names is taken from. */
export type ImageSource = { from: 'storage'; id: string } | { from: 'registry'; name: string };

/**
 * Decides where an image comes from. What lies in the storage of this host may be another tenant's, so that a name of a
 * registry is asked for there, with the build's own credentials, and what only this host can have (`localhost/…`, an id, a
 * bare digest) is refused; both unless the request permits the image (docs/contract.md §2, `base_images`).
 *
 * @param text as the build names it
 * @param permitted names, ids and digests that the request permits
 * @throws BuildFailure 422 naming the image
 */
export function sourceOf(
  text: string,
  permitted: readonly string[],
  images: Iterable<ImageRecord>,
): ImageSource {
  const stored = [...images];
  const wanted = readImageName(text);
  const named = readable(permitted);
  const [found] = find(stored, text);
  if (wanted.kind === 'registry')
    return found !== undefined && named.has(wanted.name)
      ? { from: 'storage', id: found.id }
      : { from: 'registry', name: wanted.name };
  const isPermitted =
    found !== undefined && permitted.some(entry => find(stored, entry).some(({ id }) => id === found.id));
  if (isPermitted) return { from: 'storage', id: found.id };
  // Whether the image of another is here is not told.
  const isNamed = named.has(wanted.kind === 'id' ? wanted.hex : wanted.name);
  throw new BuildFailure(
    422,
    'buildah',
    `base image ${text}${isNamed ? ' is not on this host' : ': only an image of this host that the request names in base_images'}`,
  );
}

function readable(permitted: readonly string[]): Set<string> {
  const names = permitted.map(readImageName);
  return new Set(names.map(name => (name.kind === 'id' ? name.hex : name.name)));
}

/** The images of the storage that a text names. */
function find(stored: readonly ImageRecord[], text: string): ImageRecord[] {
  const wanted = readImageName(text);
  if (wanted.kind === 'id')
    return stored.filter(({ id, digests }) => id === wanted.hex || digests.includes(`sha256:${wanted.hex}`));
  const [name = '', digest] = wanted.name.split('@');
  if (digest === undefined) return stored.filter(({ names }) => names.includes(name));
  const isOfName = (full: string) => full === wanted.name || full.replace(/:[^:/]+$/, '') === name;
  return stored.filter(({ names, digests }) => digests.includes(digest) && names.some(isOfName));
}
