import { VerbError } from '@coold/errors';
import { type PodmanConnection, segment } from './connection.ts';
import { count, list, number, object, text, texts } from './shape.ts';

/** One name of an image. */
export interface ListedImage {
  /** Empty for an image without a name. */
  ref: string;
  digest: string;
  id: string;
  /** Bytes. */
  size: bigint;
  /** Unix time in seconds. */
  created: bigint;
}

/** The part of an image's configuration that containers inherit. */
export interface ImageWords {
  annotations: Record<string, string>;
  labels: Record<string, string>;
  /** The paths at which containers get anonymous volumes. */
  volumes: string[];
}

export interface RegistryAuth {
  username: string;
  password: string;
}

export interface PodmanImages {
  /** Pulls an image. Its progress is dropped. @returns the digest, "sha256:…" */
  pull(
    ref: string,
    auth: RegistryAuth | undefined,
    options: { timeoutMs: number },
    signal: AbortSignal,
  ): Promise<string>;
  list(signal: AbortSignal): Promise<ListedImage[]>;
  words(ref: string, signal: AbortSignal): Promise<ImageWords>;
  remove(ref: string, signal: AbortSignal): Promise<void>;
}

/** Removing layers takes as long as the disk does. */
const removeTimeoutMs = 5 * 60_000;

export function podmanImages(connection: PodmanConnection): PodmanImages {
  return {
    async pull(ref, auth, { timeoutMs }, signal) {
      let id: string | undefined;
      let failure: string | undefined;
      const call = {
        method: 'POST',
        path: '/images/pull',
        query: { reference: ref },
        headers: auth === undefined ? {} : { 'x-registry-auth': authHeader(auth) },
        timeoutMs,
      } as const;
      // Podman sends the status before the result is known. An error is a line of the body.
      const onLine = (line: string) => {
        const report = object(JSON.parse(line), 'pull');
        if (typeof report['error'] === 'string' && report['error'] !== '') failure = report['error'];
        if (typeof report['id'] === 'string' && report['id'] !== '') id = report['id'];
      };
      await connection.libpodLines(call, onLine, signal);
      if (failure !== undefined) throw pullFailure(failure);
      const path = `/images/${segment(text(id, 'pull: the id'))}/json`;
      return digestOf(ref, object(await connection.libpod({ path }, signal), 'image'), 'image');
    },
    list: async signal => readImageList(await connection.libpod({ path: '/images/json' }, signal)),
    async words(ref, signal) {
      const image = object(
        await connection.libpod({ path: `/images/${segment(ref)}/json` }, signal),
        'image',
      );
      const config = object(image['Config'] ?? {}, 'image.Config');
      return {
        annotations: texts(image['Annotations'], 'image.Annotations'),
        labels: texts(config['Labels'], 'image.Config.Labels'),
        volumes: Object.keys(object(config['Volumes'] ?? {}, 'image.Config.Volumes')),
      };
    },
    async remove(ref, signal) {
      const call = { method: 'DELETE', path: `/images/${segment(ref)}`, timeoutMs: removeTimeoutMs } as const;
      await connection.libpod(call, signal);
    },
  };
}

/** Reads `GET /images/json`: an image of several names is several entries. @throws VerbError 502 */
export function readImageList(answer: unknown): ListedImage[] {
  return list(answer, 'images').flatMap((entry, index) => {
    const at = `images[${index}]`;
    const image = object(entry, at);
    const names = (key: string) =>
      list(image[key] ?? [], `${at}.${key}`)
        .map((name, i) => text(name, `${at}.${key}[${i}]`))
        .filter(name => !name.includes('<none>'));
    const tags = names('RepoTags');
    const refs = tags.length > 0 ? tags : names('RepoDigests').slice(0, 1);
    const facts = {
      id: text(image['Id'], `${at}.Id`),
      size: count(image['Size'], `${at}.Size`),
      // An image built to be reproducible may say that it is older than 1970.
      created: count(Math.max(0, Math.floor(number(image['Created'], `${at}.Created`))), `${at}.Created`),
    };
    return (refs.length > 0 ? refs : ['']).map(ref => ({ ref, digest: digestOf(ref, image, at), ...facts }));
  });
}

/**
 * Returns the digest under which the registry of a reference knows an image. An image with several names has several
 * digests, and its own `Digest` is that of the first, for example of the build whose push is now pulled.
 *
 * @param image an entry of `GET /images/json`, or `GET /images/{id}/json`
 */
export function digestOf(ref: string, image: Record<string, unknown>, at: string): string {
  const [named = '', asked] = ref.split('@');
  if (asked !== undefined) return asked;
  const repository = named.replace(/:[^:/]*$/, '');
  const digests = list(image['RepoDigests'] ?? [], `${at}.RepoDigests`)
    .map((entry, index) => text(entry, `${at}.RepoDigests[${index}]`).split('@'))
    // Podman completed a short name: docker.io/library/nginx for nginx.
    .filter(([name = '']) => name === repository || name.endsWith(`/${repository}`))
    .map(([, digest = '']) => digest);
  const first = text(image['Digest'] ?? '', `${at}.Digest`);
  return digests.find(digest => digest !== first) ?? first;
}

function authHeader({ username, password }: RegistryAuth): string {
  return Buffer.from(JSON.stringify({ username, password })).toString('base64url');
}

/** Returns the end of Podman's message, since the cause comes last. */
const maxMessageLength = 1000;

function pullFailure(message: string): VerbError {
  const said = `podman: ${message.slice(-maxMessageLength)}`;
  if (/manifest unknown|name unknown|repository .*not found/i.test(message))
    return new VerbError('image_not_found', said, { field: 'ref' });
  if (/unauthorized|authentication required|access to the resource is denied/i.test(message))
    return new VerbError('registry_denied', said, { field: 'auth' });
  return new VerbError('registry_failed', said);
}
