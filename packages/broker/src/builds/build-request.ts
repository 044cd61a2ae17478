import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { failure, type Refusal } from '@coold/errors';
import { type BuildRequest, BuildRequestSchema, BuildStack, FieldError } from '@coold/proto';
import { buildIdExpected, buildIdPattern, isObject, maxHostIdLength } from '../hosts/router.ts';

/** A parsed `POST /v1/build/dispatch`, before a host is chosen. */
export interface BuildOrder {
  requestId: string;
  /** Absent: the broker chooses. */
  hostId: string | undefined;
  type: BuildType;
  /** The lowest schema that a host must speak to be sent it. */
  schema: number;
  /** The part of the request that needs that schema, and its field. */
  needs: { what: string; field: string };
  build: BuildRequest;
}

export type BuildType = 'static_build' | 'dockerfile_build';

type Fields = Record<string, unknown>;
type Stack = Pick<MessageInitShape<typeof BuildRequestSchema>, 'stack' | 'staticCfg' | 'dockerfileCfg'>;

interface BuildKind {
  schema: number;
  /** Its fields in addition to those of every type. */
  fields: readonly string[];
  read(command: Fields): Stack;
}

const kinds: Record<BuildType, BuildKind> = {
  static_build: {
    schema: 1,
    fields: ['output_dir', 'base_image'],
    read: command => ({
      stack: BuildStack.STATIC,
      staticCfg: {
        outputDir: optionalText(command, 'output_dir', maxPathLength),
        baseImage: optionalText(command, 'base_image', maxImageLength),
      },
    }),
  },
  dockerfile_build: {
    schema: 2,
    fields: ['dockerfile', 'build_args', 'target'],
    read: command => ({
      stack: BuildStack.DOCKERFILE,
      dockerfileCfg: {
        dockerfile: optionalText(command, 'dockerfile', maxPathLength),
        buildArgs: readBuildArgs(command['build_args'] ?? {}),
        target: optionalText(command, 'target', maxWordLength),
      },
    }),
  },
};

const commonFields = ['repo_url', 'git_ref', 'target_image', 'cache_key', 'push', 'base_images'];
export const maxUrlLength = 2048;
export const maxRefLength = 1024;
export const maxImageLength = 1024;
export const maxPathLength = 4096;
export const maxWordLength = 128;
export const maxBuildArgs = 100;
export const maxBuildArgLength = 32 * 1024;
export const maxBaseImages = 100;
export const maxSecretLength = 16 * 1024;

/**
 * Reads the body of a build dispatch (docs/contract.md §2). Pure. It checks shapes and sizes; the host that builds
 * checks what the values mean.
 */
export function readBuildOrder(body: unknown): BuildOrder | Refusal {
  const requestId = isObject(body) ? body['request_id'] : undefined;
  const isId = typeof requestId === 'string' && buildIdPattern.test(requestId);
  try {
    if (!isObject(body)) throw new FieldError('body', 'expected an object');
    if (!isId) throw new FieldError('request_id', buildIdExpected);
    return { requestId, ...readOrder(body) };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { requestId: isId ? requestId : '', ...failure('invalid_request', error.message, error.field) };
  }
}

function readOrder(body: Fields): Omit<BuildOrder, 'requestId'> {
  const hostId = isGiven(body['host_id']) ? text(body['host_id'], 'host_id', maxHostIdLength) : undefined;
  const command = body['command'];
  if (!isObject(command)) throw new FieldError('command', 'expected an object');
  const { type } = command;
  if (!isBuildType(type))
    throw new FieldError('command.type', `expected ${Object.keys(kinds).join(' or ')}${insteadOf(type)}`);
  const { schema, fields, read } = kinds[type];
  refuseUnknown(command, ['type', ...commonFields, ...fields], 'command.');
  const build = create(BuildRequestSchema, {
    repoUrl: text(command['repo_url'], 'command.repo_url', maxUrlLength),
    gitRef: text(command['git_ref'], 'command.git_ref', maxRefLength),
    targetImage: text(command['target_image'], 'command.target_image', maxImageLength),
    cacheKey: optionalText(command, 'cache_key', maxWordLength),
    ...readPush(command['push']),
    baseImages: readBaseImages(command['base_images'] ?? []),
    ...read(command),
  });
  return { hostId, type, ...needsOf(type, schema, build), build };
}

/** A host of an older schema would ignore the unknown field and build without it. */
function needsOf(
  type: BuildType,
  schema: number,
  { push, baseImages }: BuildRequest,
): Pick<BuildOrder, 'schema' | 'needs'> {
  const added = push !== undefined ? 'push' : baseImages.length > 0 ? 'base_images' : undefined;
  if (added === undefined) return { schema, needs: { what: type, field: 'command.type' } };
  return { schema: 2, needs: { what: `${type} with ${added}`, field: `command.${added}` } };
}

function readPush(value: unknown): Pick<MessageInitShape<typeof BuildRequestSchema>, 'push'> {
  if (!isGiven(value)) return {};
  const push = map(value, 'command.push');
  refuseUnknown(push, ['auth'], 'command.push.');
  const { auth } = push;
  if (!isGiven(auth)) return { push: {} };
  const credentials = map(auth, 'command.push.auth');
  refuseUnknown(credentials, ['username', 'password'], 'command.push.auth.');
  const username = text(credentials['username'], 'command.push.auth.username', maxWordLength * 8);
  const password = text(credentials['password'], 'command.push.auth.password', maxSecretLength);
  return { push: { auth: { username, password } } };
}

function readBaseImages(value: unknown): string[] {
  const field = 'command.base_images';
  if (!Array.isArray(value)) throw new FieldError(field, 'expected a list of image references');
  if (value.length > maxBaseImages) throw new FieldError(field, `expected at most ${maxBaseImages}`);
  return value.map((image, at) => text(image, `${field}[${at}]`, maxImageLength));
}

/** PHP encodes an empty map as an empty list. */
function map(value: unknown, field: string): Fields {
  if (Array.isArray(value) && value.length === 0) return {};
  if (!isObject(value)) throw new FieldError(field, 'expected an object');
  return value;
}

function isBuildType(type: unknown): type is BuildType {
  return typeof type === 'string' && Object.hasOwn(kinds, type);
}

function insteadOf(type: unknown): string {
  return type === 'cancel' ? '; a build is cancelled by POST /v1/build/:id/cancel' : '';
}

function readBuildArgs(value: unknown): Record<string, string> {
  const field = 'command.build_args';
  const entries = Object.entries(map(value, field));
  if (entries.length > maxBuildArgs) throw new FieldError(field, `expected at most ${maxBuildArgs}`);
  for (const [name, argument] of entries) {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
      throw new FieldError(field, `${JSON.stringify(name.slice(0, 128))} is not the name of a variable`);
    // A value may have several lines: a key in PEM is one value.
    if (typeof argument !== 'string' || argument.length > maxBuildArgLength || argument.includes('\0'))
      throw new FieldError(`${field}.${name}`, `expected text of at most ${maxBuildArgLength} characters`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

/** Protobuf has no absent text: an empty one means the default. */
function optionalText(command: Fields, name: string, maxLength: number): string {
  const value = command[name];
  return isGiven(value) && value !== '' ? text(value, `command.${name}`, maxLength) : '';
}

function text(value: unknown, field: string, maxLength: number): string {
  if (typeof value !== 'string' || value === '' || value.length > maxLength || hasControl(value))
    throw new FieldError(field, `expected text of 1 to ${maxLength} characters on one line`);
  return value;
}

/** Also the characters with which Unicode ends a line. */
function hasControl(value: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(value);
}

function refuseUnknown(object: Fields, known: readonly string[], at: string): void {
  const unknown = Object.keys(object).find(key => !known.includes(key));
  if (unknown !== undefined)
    throw new FieldError(`${at}${unknown.slice(0, 128)}`, 'is not a field of this request');
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
