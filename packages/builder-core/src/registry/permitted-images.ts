import { BuildFailure } from '../build-failure.ts';
import { readImageName } from '../request/image-name.ts';
import type { ImageRecord } from '../storage/storage-records.ts';

/** Where an image of a build comes from. */
export type ImageSource = { from: 'storage'; id: string } | { from: 'registry'; name: string };

/**
 * Decides where an image comes from. An image in the storage of this host may belong to another tenant. So a registry image is
 * always pulled, with the credentials of the build, and an image that only this host can have (`localhost/…`, an id, a bare
 * digest) is refused. An image that the request permits is taken from the storage (docs/contract.md §2, `base_images`).
 *
 * @param text the image as the build names it
 * @param permitted the names, ids and digests that the request permits
 * @param images the images in the storage
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
  // The message does not reveal whether another tenant has such an image.
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

/** Returns the images of the storage that a text names. */
function find(stored: readonly ImageRecord[], text: string): ImageRecord[] {
  const wanted = readImageName(text);
  if (wanted.kind === 'id')
    return stored.filter(({ id, digests }) => id === wanted.hex || digests.includes(`sha256:${wanted.hex}`));
  const [name = '', digest] = wanted.name.split('@');
  if (digest === undefined) return stored.filter(({ names }) => names.includes(name));
  const isOfName = (full: string) => full === wanted.name || full.replace(/:[^:/]+$/, '') === name;
  return stored.filter(({ names, digests }) => digests.includes(digest) && names.some(isOfName));
}
