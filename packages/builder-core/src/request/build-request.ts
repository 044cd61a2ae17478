import { imageReferenceExpected, isImageReference } from '@coold/runtime/image-reference';
import { isObject } from '@coold/runtime/unknown-values';
import { checkGitRef } from './git-ref.ts';
import { registryOf } from './image-name.ts';
import { type Credentials, type RepoUrl, readRepoUrl } from './repo-url.ts';
import { RequestError } from './request-error.ts';

export interface StaticConfig {
  outputDir: string;
  baseImage: string;
}

export interface DockerfileConfig {
  /** The path of the Containerfile. Absent: Containerfile or Dockerfile at the root. */
  dockerfile?: string;
  buildArgs: Record<string, string>;
  /** The stage to build. Absent: the last one. */
  target?: string;
}

/** The stack that makes the image, with its configuration. */
export type StackRequest =
  | { name: 'static'; config: StaticConfig }
  | { name: 'dockerfile'; config: DockerfileConfig }
  /** The API accepts these stacks, but this builder does not have them. */
  | { name: 'buildpacks' | 'railpack' };

/** The checked content of `request.json` (docs/contract.md §7). */
export interface BuildRequest {
  repo: RepoUrl;
  gitRef: string;
  targetImage: string;
  /** Present: layers are kept, and layers of earlier builds on this host are reused. */
  cacheKey?: string;
  /** Present: the image is pushed to its registry. */
  push?: PushRequest;
  /** Names, ids and digests of local images that the build may use without asking a registry. Absent: none. */
  baseImages?: string[];
  stack: StackRequest;
}

export interface PushRequest {
  /** The login. Absent: the registry accepts pushes without one. */
  auth?: Credentials;
}

export interface ReadOptions {
  /** Accept `file://` repositories on the disk of this machine. For tests. */
  allowFile?: boolean;
}

/**
 * Reads and checks a build request.
 *
 * @param value the parsed JSON
 * @throws RequestError naming the field
 */
export function readBuildRequest(value: unknown, { allowFile = false }: ReadOptions = {}): BuildRequest {
  const request = fields(value, 'request', [
    ...['repo_url', 'git_ref', 'stack', 'target_image', 'cache_key', 'static_cfg', 'dockerfile_cfg'],
    ...['push', 'base_images'],
  ]);
  const cacheKey = optionalText(request['cache_key'], 'cache_key');
  if (cacheKey !== undefined) checkWord(cacheKey, 'cache_key');
  const repo = readRepoUrl(text(request['repo_url'], 'repo_url'), 'repo_url', allowFile);
  const gitRef = checkGitRef(text(request['git_ref'], 'git_ref'), 'git_ref');
  const targetImage = readTarget(text(request['target_image'], 'target_image'), 'target_image');
  const push = isGiven(request['push']) ? readPush(request['push'], targetImage) : undefined;
  const baseImages = readBaseImages(request['base_images'] ?? []);
  return {
    repo,
    gitRef,
    targetImage,
    ...(cacheKey === undefined ? {} : { cacheKey }),
    ...(push === undefined ? {} : { push }),
    ...(baseImages.length === 0 ? {} : { baseImages }),
    stack: readStack(request),
  };
}

function readPush(value: unknown, targetImage: string): PushRequest {
  const push = fields(value, 'push', ['auth']);
  if (registryOf(targetImage) === 'localhost')
    throw new RequestError('target_image', 'expected the name of a registry, since the image is pushed');
  if (!isGiven(push['auth'])) return {};
  const auth = fields(push['auth'], 'push.auth', ['username', 'password']);
  return {
    auth: {
      // HTTP Basic authentication joins both with a colon, so the username cannot hold one.
      username: readSecret(auth['username'], 'push.auth.username', /^[^:\p{Cc}]{1,1024}$/u),
      password: readSecret(auth['password'], 'push.auth.password', /^\P{Cc}{1,16384}$/u),
    },
  };
}

/** Checks a secret. The error does not show the value, which may be a secret in the wrong field. */
function readSecret(value: unknown, field: string, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value))
    throw new RequestError(
      field,
      field.endsWith('username') ? 'expected text on one line without a colon' : 'expected text on one line',
    );
  return value;
}

const maxBaseImages = 100;

function readBaseImages(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > maxBaseImages)
    throw new RequestError('base_images', `expected a list of at most ${maxBaseImages} image references`);
  return value.map((image: unknown, at) => {
    const name = text(image, `base_images[${at}]`);
    // An image id may be written like a digest.
    return /^sha256:[0-9a-f]{64}$/.test(name) ? name : readImage(name, `base_images[${at}]`);
  });
}

function readStack(request: Record<string, unknown>): StackRequest {
  const name = text(request['stack'], 'stack');
  const foreign = name === 'static' ? 'dockerfile_cfg' : name === 'dockerfile' ? 'static_cfg' : undefined;
  if (foreign !== undefined && isGiven(request[foreign]))
    throw new RequestError(foreign, `expected nothing beside stack ${JSON.stringify(name)}`);
  switch (name) {
    case 'static':
      return { name, config: readStatic(request['static_cfg'] ?? {}) };
    case 'dockerfile':
      return { name, config: readDockerfile(request['dockerfile_cfg'] ?? {}) };
    case 'buildpacks':
    case 'railpack':
      return { name };
    default:
      throw new RequestError('stack', 'expected static, dockerfile, buildpacks or railpack');
  }
}

function readStatic(value: unknown): StaticConfig {
  const config = fields(value, 'static_cfg', ['output_dir', 'base_image']);
  const outputDir = optionalText(config['output_dir'], 'static_cfg.output_dir') ?? 'dist';
  const baseImage = optionalText(config['base_image'], 'static_cfg.base_image');
  return {
    outputDir: checkRepositoryPath(outputDir, 'static_cfg.output_dir'),
    baseImage: readImage(baseImage ?? 'docker.io/library/nginx:alpine', 'static_cfg.base_image'),
  };
}

function readDockerfile(value: unknown): DockerfileConfig {
  const config = fields(value, 'dockerfile_cfg', ['dockerfile', 'build_args', 'target']);
  const dockerfile = optionalText(config['dockerfile'], 'dockerfile_cfg.dockerfile');
  const target = optionalText(config['target'], 'dockerfile_cfg.target');
  return {
    ...(dockerfile === undefined
      ? {}
      : { dockerfile: checkRepositoryPath(dockerfile, 'dockerfile_cfg.dockerfile') }),
    buildArgs: readBuildArgs(config['build_args'] ?? {}, 'dockerfile_cfg.build_args'),
    ...(target === undefined ? {} : { target: checkWord(target, 'dockerfile_cfg.target') }),
  };
}

const maxBuildArgs = 100;
/** The longest value in characters. Linux allows 128 KiB for one argument of a program. */
const maxBuildArgLength = 32 * 1024;

function readBuildArgs(value: unknown, field: string): Record<string, string> {
  const entries = Object.entries(record(value, field));
  if (entries.length > maxBuildArgs) throw new RequestError(field, `expected at most ${maxBuildArgs}`);
  for (const [name, argument] of entries) {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
      throw new RequestError(field, `${JSON.stringify(name.slice(0, 128))}: expected the name of a variable`);
    if (typeof argument !== 'string' || argument.length > maxBuildArgLength || argument.includes('\0'))
      throw new RequestError(`${field}.${name}`, `expected text of at most ${maxBuildArgLength} characters`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

/** Reads the name for the image. A digest is refused: it follows from the content. */
function readTarget(value: string, field: string): string {
  const reference = readImage(value, field);
  if (reference.includes('@')) throw new RequestError(field, 'expected a name without a digest');
  // buildah and Podman would read such a name as an image id.
  if (/^(?:sha256:)?[0-9a-f]{64}$/.test(reference)) throw new RequestError(field, imageReferenceExpected);
  return reference;
}

function readImage(value: string, field: string): string {
  if (!isImageReference(value)) throw new RequestError(field, imageReferenceExpected);
  return value;
}

function checkWord(value: string, field: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(value))
    throw new RequestError(
      field,
      'expected 1 to 128 of letters, digits, "_", "." and "-", beginning with a letter or digit',
    );
  return value;
}

function fields(value: unknown, field: string, known: readonly string[]): Record<string, unknown> {
  const object = record(value, field);
  const unknown = Object.keys(object).find(key => !known.includes(key));
  if (unknown !== undefined)
    throw new RequestError(
      field === 'request' ? unknown.slice(0, 128) : `${field}.${unknown.slice(0, 128)}`,
      'not a field of a build request',
    );
  return object;
}

function record(value: unknown, field: string): Record<string, unknown> {
  if (!isObject(value)) throw new RequestError(field, 'expected an object');
  return value;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new RequestError(field, 'expected text');
  return value;
}

/** Returns undefined for an empty text, too: protobuf does not distinguish it from an absent one. */
function optionalText(value: unknown, field: string): string | undefined {
  return isGiven(value) && value !== '' ? text(value, field) : undefined;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

const maxPathLength = 1024;

/**
 * Checks a path inside the repository: relative, and without `..`. Symlinks are followed later, see resolveInside.
 *
 * @throws RequestError
 */
function checkRepositoryPath(text: string, field: string): string {
  const parts = text.split('/');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  const unfit = text === '' || text.length > maxPathLength || /[\u0000-\u001f\u007f]/.test(text);
  if (unfit || parts[0] === '' || parts.includes('..'))
    throw new RequestError(
      field,
      `expected a path inside the repository, relative, without "..", at most ${maxPathLength} characters`,
    );
  return text;
}
