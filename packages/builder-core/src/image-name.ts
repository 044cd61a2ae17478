/** What a text that names an image can be looked up by. */
export type ImageName =
  /** Of a registry, in full: `docker.io/library/nginx:alpine`, `registry:5000/a/b@sha256:…`. */
  | { kind: 'registry'; name: string }
  /** `localhost/…` in full: only the storage of this host has it. */
  | { kind: 'local'; name: string }
  /** 64 hexadecimal digits: the id of an image, or a digest of one, in the storage of this host. */
  | { kind: 'id'; hex: string };

/**
 * Reads the name of an image as `docker build` does: what begins with no registry is of docker.io, what has no tag and no
 * digest has the tag `latest`. A tag beside a digest says nothing and goes.
 *
 * @param text an image reference (see isImageReference)
 */
export function readImageName(text: string): ImageName {
  const [, hex] = /^(?:sha256:)?([0-9a-f]{64})$/.exec(text) ?? [];
  if (hex !== undefined) return { kind: 'id', hex };
  const [, path = '', tag = '', digest = ''] =
    /^(.*?)(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?$/.exec(text) ?? [];
  const full = withRegistry(path) + (digest === '' ? tag || ':latest' : digest);
  return { kind: full.startsWith('localhost/') ? 'local' : 'registry', name: full };
}

/**
 * The name that an image is looked up by: complete, see readImageName. An id stays as it is written.
 *
 * @param text an image reference (see isImageReference)
 */
export function completeImageName(text: string): string {
  const image = readImageName(text);
  return image.kind === 'id' ? text : image.name;
}

function withRegistry(path: string): string {
  const [first = '', ...rest] = path.split('/');
  if (rest.length === 0) return `docker.io/library/${path}`;
  if (!/[.:]/.test(first) && first !== 'localhost' && first.toLowerCase() === first)
    return `docker.io/${path}`;
  // Both are Docker Hub's, where a name of one part is one of the library.
  const hub = first === 'docker.io' || first === 'index.docker.io';
  if (hub) return `docker.io/${rest.length === 1 ? `library/${rest[0]}` : rest.join('/')}`;
  return path;
}
