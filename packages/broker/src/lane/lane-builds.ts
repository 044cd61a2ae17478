import { described, type Schema } from '@coold/openapi';
import {
  maxBaseImages,
  maxBuildArgLength,
  maxBuildArgs,
  maxImageLength,
  maxPathLength,
  maxRefLength,
  maxSecretLength,
  maxUrlLength,
  maxWordLength,
} from '../builds/build-request.ts';

// What the build lane takes and answers (docs/contract.md §2, §7), for the lane's OpenAPI document. builds/build-request.ts
// reads the same requests.

/** On one line. */
const line = '[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]';
const text = (maxLength: number, description: string): Schema => ({
  type: 'string',
  pattern: `^${line}+$`,
  maxLength,
  description,
});
const optional = (maxLength: number, description: string): Schema => ({
  type: ['string', 'null'],
  pattern: `^${line}*$`,
  maxLength,
  description,
});
const closed = (properties: Record<string, Schema>, required: string[], description: string): Schema => ({
  type: 'object',
  description,
  properties,
  required,
  additionalProperties: false,
});

const common: Record<string, Schema> = {
  repo_url: text(maxUrlLength, 'The repository, as git takes it.'),
  git_ref: text(maxRefLength, 'A branch, a tag or a commit.'),
  target_image: text(maxImageLength, 'The name that the image gets.'),
  cache_key: optional(maxWordLength, 'Builds of one key share their layers; absent: the repository.'),
  push: {
    type: ['object', 'array', 'null'],
    maxItems: 0,
    description: 'Given: the image goes to the registry that target_image names.',
    properties: {
      auth: {
        type: ['object', 'null'],
        description: 'Credentials for the registry; absent where the registry needs none.',
        properties: {
          username: text(maxWordLength * 8, 'The user, or what the registry calls the name of a token.'),
          password: text(maxSecretLength, 'The password or token.'),
        },
        required: ['username', 'password'],
        additionalProperties: false,
      },
    },
    additionalProperties: false,
  },
  base_images: {
    type: ['array', 'null'],
    maxItems: maxBaseImages,
    items: text(maxImageLength, 'An image reference.'),
    ...described('coolify.agent.v1.BuildRequest.base_images'),
  },
};
const required = ['type', 'repo_url', 'git_ref', 'target_image'];
const typed = (type: string): Schema => ({ type: 'string', const: type, description: 'What is built.' });

/** The commands of a build dispatch, as components of the document. */
export const buildCommands: Record<string, Schema> = {
  StaticBuildCommand: closed(
    {
      type: typed('static_build'),
      ...common,
      output_dir: optional(maxPathLength, 'The folder of the repository that is served; "dist" when absent.'),
      base_image: optional(maxImageLength, '"docker.io/library/nginx:alpine" when absent.'),
    },
    required,
    'Builds an image that serves the files of a repository.',
  ),
  DockerfileBuildCommand: closed(
    {
      type: typed('dockerfile_build'),
      ...common,
      dockerfile: optional(
        maxPathLength,
        'Path inside the repository; when absent, Containerfile or Dockerfile at its root.',
      ),
      build_args: {
        type: ['object', 'array', 'null'],
        maxItems: 0,
        maxProperties: maxBuildArgs,
        propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' },
        additionalProperties: { type: 'string', pattern: '^[^\\u0000]*$', maxLength: maxBuildArgLength },
        description: 'Values of ARG.',
      },
      target: optional(maxWordLength, 'The stage to build; the last one when absent.'),
    },
    required,
    'Builds an image by the Containerfile or Dockerfile of a repository.',
  ),
};

const named = { request_id: { type: 'string', description: 'Of the build.' } };

/** What a build ended with. */
export const buildResult: Schema = {
  type: 'object',
  description: 'The build ended with an image.',
  properties: {
    ...named,
    status: { type: 'string', const: 'ok', description: 'The build ended well.' },
    digest: { type: 'string', ...described('coolify.agent.v1.BuildResult.digest') },
    registry_ref: { type: 'string', ...described('coolify.agent.v1.BuildResult.registry_ref') },
    duration_ms: { type: 'integer', minimum: 0, description: 'How long it took.' },
  },
  required: ['request_id', 'status', 'digest', 'registry_ref', 'duration_ms'],
};

const outcome = (kind: string, name: string, properties: Record<string, Schema>): Schema => ({
  type: 'object',
  properties: {
    type: { type: 'string', const: kind, description: 'What the line tells.' },
    [name]: {
      type: 'object',
      description: 'How the build ended.',
      properties,
      required: Object.keys(properties),
    },
  },
  required: ['type', name],
});

/** A line of a build's events. */
export const buildEvent: Schema = {
  description: 'A line of a build as its builder wrote it.',
  anyOf: [
    {
      type: 'object',
      properties: {
        type: { type: 'string', const: 'progress', description: 'What the line tells.' },
        stage: { type: 'string', description: 'What the build is at.' },
        log: { type: 'string', description: 'Output of a tool; empty: only the percentage changed.' },
        percent: { type: 'number', description: 'Of the whole, from 0 to 100; it never falls.' },
      },
      required: ['type', 'stage', 'log', 'percent'],
    },
    outcome('result', 'ok', {
      digest: { type: 'string', description: '"sha256:…" of the image.' },
      registry_ref: { type: 'string', description: '"<target>@sha256:…".' },
      duration_ms: { type: 'integer', minimum: 0, description: 'How long it took.' },
    }),
    outcome('error', 'err', {
      code: { type: 'integer', description: 'As a status of HTTP.' },
      message: { type: 'string', description: 'For people.' },
      stage: { type: 'string', description: 'Where the build was.' },
    }),
  ],
};
