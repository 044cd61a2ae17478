/** The full name or id of an image, which storage and registries know it by. */
export type ImageName =
  /** An image of a registry, by its full name: `docker.io/library/nginx:alpine`, `registry:5000/a/b@sha256:…`. */
  | { kind: 'registry'; name: string }
  /** A local image by its full name, `localhost/…`: only the storage of this host can have it. */
  | { kind: 'local'; name: string }
  /** 64 hexadecimal digits: the id or a digest of an image in the storage of this host. */
  | { kind: 'id'; hex: string };

/**
 * Reads the name of an image as `docker build` does. A name without a registry is completed with docker.io, and a name without
 * tag and digest with the tag `latest`. A tag beside a digest is dropped, since the digest decides.
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
 * Returns the full name of an image, see readImageName. An id is returned as it is written.
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
  // Both names are Docker Hub, where a name of one part belongs to `library`.
  const hub = first === 'docker.io' || first === 'index.docker.io';
  if (hub) return `docker.io/${rest.length === 1 ? `library/${rest[0]}` : rest.join('/')}`;
  return path;
}

/** Returns the registry of an image reference as `host` or `host:port`. Without one in the reference it is docker.io. */
export function registryOf(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first));
  return isHost ? first : 'docker.io';
}
