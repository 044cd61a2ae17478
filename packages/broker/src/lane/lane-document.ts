import {
  errorResponses,
  jsonContent,
  lineContent,
  lineRef,
  MessageSchemas,
  reasonSchema,
  type Schema,
  schemaRef,
  streamSchemas,
} from '@coold/openapi';
import type { Verb } from '@coold/proto';
import { buildIdPattern, maxHostIdLength, requestIdPattern } from '../hosts/router.ts';
import { maxTokenIdLength, tokenIdPattern } from '../hosts/token-id.ts';
import { buildCommands, buildEvent, buildResult } from './lane-builds.ts';
import { type CommandSchemas, commandSchemas } from './lane-commands.ts';
import { brokerError, errorSchemas, hostSchemas } from './lane-envelopes.ts';
import { type LaneCall, laneReasons } from './lane-reasons.ts';

interface Call {
  method: 'get' | 'post' | 'delete';
  path: string;
  summary: string;
  tag: 'hosts' | 'builds' | 'tokens' | 'broker';
  description?: string;
  parameters?: object[];
  body?: { required: boolean; content: object };
  /** Status and response of what is no refusal. */
  done: [status: number, response: object];
}

/** Calls by their operationId. */
type Calls = Record<string, Call>;

/**
 * Returns the OpenAPI 3.1 document of Laravel's lane (docs/contract.md §2), its commands from the same descriptors that hosts
 * are asked by. Pure.
 */
export function laneDocument(verbs: Iterable<Verb>, version: string): object {
  const messages = new MessageSchemas();
  const commands = commandSchemas([...verbs], messages);
  const calls = { ...brokerCalls, ...hostCalls(commands), ...buildCalls, ...tokenCalls };
  const paths: Record<string, Record<string, object>> = {};
  for (const [operationId, call] of Object.entries(calls)) {
    const atPath = paths[call.path] ?? {};
    paths[call.path] = atPath;
    atPath[call.method] = operation(operationId, call);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'broker',
      version,
      summary: "Laravel's lane to the hosts",
      description:
        'HTTP on the Unix socket /run/coolify/broker.sock, whose file mode is the only access check. The HTTP status speaks for the broker, `status` of the envelope for the host. In a request, null is an absent field and `[]` an object without fields, as PHP writes them.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://broker', description: 'The host name is not used: the socket decides.' }],
    security: [{}],
    tags: ['hosts', 'builds', 'tokens', 'broker'].map(name => ({ name })),
    paths,
    components: {
      schemas: {
        ...messages.all(),
        ...commands.components,
        ...buildCommands,
        ...hostSchemas,
        ...errorSchemas,
        BuildResult: buildResult,
        BuildEvent: buildEvent,
        Reason: reasonSchema,
        ...streamSchemas,
      },
    },
  };
}

function operation(operationId: string, { summary, tag, description, parameters, body, done }: Call): object {
  const [status, response] = done;
  const reasons = laneReasons[operationId in laneReasons ? (operationId as LaneCall) : 'own'];
  const isBuild = operationId.startsWith('build.');
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [tag],
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      [status]: response,
      ...errorResponses(reasons, (reason, code) => brokerError(reason, code, isBuild)),
      default: {
        description: 'What else the broker refuses',
        content: jsonContent(schemaRef(isBuild ? 'BuildRefused' : 'Refused')),
      },
    },
  };
}

const done = { description: 'Done' };
const json = (description: string, schema: Schema) => ({ description, content: jsonContent(schema) });
const inPath = (name: string, description: string, schema: Schema) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', ...schema },
});
const buildId = inPath('id', 'The request_id of the build.', { pattern: buildIdPattern.source });
const jti = { type: 'string', pattern: tokenIdPattern.source, maxLength: maxTokenIdLength };
const revoked = {
  type: 'object',
  properties: { jti: { ...jti, description: 'The claim of that name in the token.' } },
  required: ['jti'],
};

/** The body of the three dispatches; what else it holds is ignored. */
function dispatchBody(command: Schema, ids: { pattern: RegExp; isHostOptional: boolean }) {
  const host = {
    type: 'string',
    minLength: 1,
    maxLength: maxHostIdLength,
    description: "The claim `sub` of the host's token.",
  };
  return {
    required: true,
    content: jsonContent({
      type: 'object',
      properties: {
        host_id: ids.isHostOptional
          ? {
              ...host,
              type: ['string', 'null'],
              description: 'The host that builds; absent: the broker picks.',
            }
          : host,
        request_id: {
          type: 'string',
          pattern: ids.pattern.source,
          description: 'Unique among the requests that are open; the same one repeats a request.',
        },
        command,
      },
      required: [...(ids.isHostOptional ? [] : ['host_id']), 'request_id', 'command'],
    }),
  };
}

const brokerCalls: Calls = {
  health: {
    method: 'get',
    path: '/v1/health',
    summary: 'Whether the broker serves',
    tag: 'broker',
    done: [200, json('It does', schemaRef('Health'))],
  },
  status: {
    method: 'get',
    path: '/v1/status',
    summary: 'The state that `broker status --json` shows',
    tag: 'broker',
    done: [200, json("The broker's state", { type: 'object' })],
  },
  metrics: {
    method: 'get',
    path: '/metrics',
    summary: 'Metrics for Prometheus',
    tag: 'broker',
    done: [200, { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } }],
  },
  openapi: {
    method: 'get',
    path: '/openapi.json',
    summary: 'This document',
    tag: 'broker',
    done: [200, json('OpenAPI 3.1', { type: 'object' })],
  },
};

function hostCalls(commands: CommandSchemas): Calls {
  const answered: Schema = {
    type: 'object',
    description: 'The host did it.',
    properties: {
      request_id: { type: 'string', description: 'As in the request.' },
      status: { type: 'string', const: 'ok', description: 'The host did it.' },
      data: commands.data,
    },
    required: ['request_id', 'status', 'data'],
  };
  const dispatchIds = { pattern: requestIdPattern, isHostOptional: false };
  return {
    streams: {
      method: 'get',
      path: '/v1/streams',
      summary: 'The hosts that are connected',
      tag: 'hosts',
      parameters: [
        {
          name: 'all',
          in: 'query',
          description: '1: the hosts of all brokers.',
          schema: { type: 'string', enum: ['0', '1'], default: '0' },
        },
      ],
      done: [
        200,
        json('A list of the hosts of this broker; with `all=1` an object', {
          oneOf: [{ type: 'array', items: schemaRef('Host') }, schemaRef('Fleet')],
        }),
      ],
    },
    dispatch: {
      method: 'post',
      path: '/v1/coold/dispatch',
      summary: 'Sends a command to a host and waits for its answer',
      tag: 'hosts',
      body: dispatchBody(commands.any, dispatchIds),
      done: [200, json('The host answered', { oneOf: [answered, schemaRef('Refused')] })],
    },
    stream: {
      method: 'post',
      path: '/v1/coold/stream',
      summary: 'Sends a command to a host and streams its answer as lines',
      description:
        'The first line says that the host has begun. A refusal is one envelope, as for a dispatch. Disconnecting ends the command.',
      tag: 'hosts',
      body: dispatchBody(commands.streamed, dispatchIds),
      done: [
        200,
        {
          description: 'Lines, as they come about; or one envelope, where the host refuses',
          content: {
            ...lineContent({
              anyOf: [
                schemaRef('StreamBegun'),
                lineRef('OutputLine'),
                lineRef('ExitLine'),
                lineRef('ErrorLine'),
                schemaRef('HostEvent'),
              ],
            }),
            ...jsonContent(schemaRef('Refused')),
          },
        },
      ],
    },
    'stream.input': {
      method: 'post',
      path: '/v1/coold/stream/{id}/input',
      summary: 'Delivers input to a stream, line by line, as fast as it is read',
      tag: 'hosts',
      parameters: [inPath('id', 'The request_id of the stream.', { pattern: requestIdPattern.source })],
      body: { required: false, content: lineContent(lineRef('InputLine')) },
      done: [204, { description: 'The host took all of it' }],
    },
  };
}

const buildCommand = {
  oneOf: Object.keys(buildCommands).map(schemaRef),
  discriminator: {
    propertyName: 'type',
    mapping: {
      static_build: '#/components/schemas/StaticBuildCommand',
      dockerfile_build: '#/components/schemas/DockerfileBuildCommand',
    },
  },
};

const buildCalls: Calls = {
  'build.dispatch': {
    method: 'post',
    path: '/v1/build/dispatch',
    summary: 'Begins a build',
    tag: 'builds',
    body: dispatchBody(buildCommand, { pattern: buildIdPattern, isHostOptional: true }),
    done: [
      202,
      json('It is begun', {
        type: 'object',
        properties: { request_id: { type: 'string', description: 'As in the request.' } },
        required: ['request_id'],
      }),
    ],
  },
  'build.result': {
    method: 'get',
    path: '/v1/build/result/{id}',
    summary: 'Waits for the result of a build',
    tag: 'builds',
    parameters: [
      buildId,
      {
        name: 'timeout_ms',
        in: 'query',
        description: 'For so long, at most 300000; more counts as that.',
        schema: { type: 'integer', minimum: 0, maximum: 999_999_999_999_999, default: 30_000 },
      },
    ],
    done: [200, json('The build ended', { oneOf: [schemaRef('BuildResult'), schemaRef('BuildRefused')] })],
  },
  'build.cancel': {
    method: 'post',
    path: '/v1/build/{id}/cancel',
    summary: 'Cancels a queued or running build',
    tag: 'builds',
    parameters: [buildId],
    done: [204, done],
  },
  'build.delete': {
    method: 'delete',
    path: '/v1/build/{id}',
    summary: 'Removes the result of a finished build',
    tag: 'builds',
    parameters: [buildId],
    done: [204, done],
  },
  'build.events': {
    method: 'get',
    path: '/v1/build/{id}/events',
    summary: 'The progress of a build, from its first line to its end',
    tag: 'builds',
    parameters: [buildId],
    done: [
      200,
      {
        description: 'Lines, as they come about; or one envelope, where the host refuses',
        content: {
          ...lineContent({ anyOf: [schemaRef('BuildEvent'), lineRef('ErrorLine')] }),
          ...jsonContent(schemaRef('BuildRefused')),
        },
      },
    ],
  },
};

const tokenCalls: Calls = {
  'tokens.list': {
    method: 'get',
    path: '/v1/tokens/revoke',
    summary: 'The revoked tokens',
    tag: 'tokens',
    done: [
      200,
      json('Hosts and tokens', {
        type: 'array',
        items: {
          oneOf: [
            revoked,
            {
              type: 'object',
              properties: {
                host_id: { type: 'string', description: 'A host whose tokens are all revoked.' },
              },
              required: ['host_id'],
            },
          ],
        },
      }),
    ],
  },
  'tokens.revoke': {
    method: 'post',
    path: '/v1/tokens/revoke',
    summary: 'Revokes a token and ends its streams',
    tag: 'tokens',
    body: { required: true, content: jsonContent(revoked) },
    done: [200, json('It is revoked', revoked)],
  },
  'tokens.restore': {
    method: 'delete',
    path: '/v1/tokens/revoke/{jti}',
    summary: 'Removes a token from the revoked ones',
    tag: 'tokens',
    parameters: [inPath('jti', 'The claim of that name in the token.', jti)],
    done: [204, done],
  },
};
