import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasons } from '@coold/errors';
import { streamSchemas } from '@coold/openapi';
import { encodeStreamError, readVerbs } from '@coold/proto';
import { compileProto } from '@coold/proto/buf';
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { openApiDocument } from './openapi.ts';
import { restReasons } from './openapi-errors.ts';

const option = (name: string, method: string, path: string, status: number, rest = '') =>
  `[(coolify.agent.v1.verb) = { name: "${name}" summary: "Does it" ${rest} http: { method: "${method}" path: "${path}" status: ${status} } }]`;

function documentOf(verbs: ReturnType<typeof readVerbs>) {
  return JSON.parse(JSON.stringify(openApiDocument(verbs.values(), '1.2.3'))) as Record<string, unknown>;
}

async function testDocument() {
  const registry = await compileProto({
    'test.proto': `
      syntax = "proto3";
      package test;
      import "coolify/agent/v1/verb.proto";
      import "google/protobuf/struct.proto";
      enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
      message Mount { string target = 1; optional bool read_only = 2; Mount inner = 3; }
      message Req {
        string id = 1; bool force = 2; repeated string names = 3; map<string, string> env = 4;
        repeated Mount mounts = 5; Color color = 6; double cpus = 7; bytes data = 8; int64 size = 9;
        oneof source { string volume = 10; bool tmpfs = 11; }
        uint32 port = 12 [(coolify.agent.v1.json) = {least: 1, most: 65535}];
        string proto = 13 [(coolify.agent.v1.json) = {one_of: ["tcp", "udp"]}];
        string label = 14 [(coolify.agent.v1.json) = {required: true, pattern: "^[a-z]+$"}];
      }
      message Resp { repeated Mount mounts = 1; uint64 size = 2; map<string, Mount> by_name = 3;
        google.protobuf.Struct raw = 4; optional string note = 5; }
      message Nothing {}
      message Commands { oneof command {
        Req create = 10 ${option('x.create', 'POST', '/api/v1/x', 201)};
        Req list = 11 ${option('x.list', 'GET', '/api/v1/x', 200, 'body: "mounts"')};
        Req delete = 12 ${option('x.delete', 'DELETE', '/api/v1/x/{id}', 204)};
        Req start = 13 ${option('x.start', 'POST', '/api/v1/x/{id}/start', 204)};
        Req read = 14 ${option('x.read', 'GET', '/api/v1/x/{id}/read', 200, 'streams: true')};
        Req run = 15 ${option('x.run', 'POST', '/api/v1/x/{id}/run', 200, 'streams: true takes_input: true')};
      } }
      message Answers { oneof body { Resp create = 10; Resp list = 11; Nothing delete = 12; Nothing start = 13;
        Resp read = 14; Resp run = 15; } }`,
  });
  const message = (name: string) => registry.getMessage(name) ?? expect.fail();
  return documentOf(readVerbs(message('test.Commands'), message('test.Answers')));
}

describe('the OpenAPI document', () => {
  it('is valid: of every verb there is, and of verbs with all that descriptors can say', async () => {
    for (const document of [documentOf(readVerbs()), await testDocument()]) {
      const result = await new Validator().validate(document);
      expect(result.errors).toBeUndefined();
      expect(result.valid).toBe(true);
    }
  });

  it('needs the token everywhere but at /healthz', async () => {
    const document = await testDocument();
    expect(document).toMatchObject({
      security: [{ token: [] }],
      paths: { '/healthz': { get: { security: [] } } },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    });
  });

  it('has path, query, body and answers of a verb', async () => {
    const { paths } = (await testDocument()) as { paths: Record<string, Record<string, unknown>> };
    expect(Object.keys(paths)).toEqual([
      '/healthz',
      '/metrics',
      '/openapi.json',
      '/api/v1/x',
      '/api/v1/x/{id}',
      '/api/v1/x/{id}/start',
      '/api/v1/x/{id}/read',
      '/api/v1/x/{id}/run',
      '/api/v1/x/{id}/run/{session}/input',
    ]);
    expect(paths['/api/v1/x']?.['post']).toMatchObject({
      operationId: 'x.create',
      summary: 'Does it',
      tags: ['x'],
      requestBody: {
        content: {
          'application/json': {
            schema: {
              type: 'object',
              required: ['label'],
              additionalProperties: false,
              properties: {
                names: { type: ['array', 'null'], items: { type: 'string' } },
                env: {
                  type: ['object', 'array', 'null'],
                  maxItems: 0,
                  additionalProperties: { type: ['string', 'null'] },
                },
                mounts: { type: ['array', 'null'], items: { $ref: '#/components/schemas/MountInput' } },
                color: { type: ['string', 'null'], enum: ['COLOR_UNSPECIFIED', 'COLOR_RED', null] },
                data: { type: ['string', 'null'], contentEncoding: 'base64' },
                port: { type: ['integer', 'null'], minimum: 1, maximum: 65535 },
                proto: { type: ['string', 'null'], enum: ['tcp', 'udp', '', null] },
                label: { type: 'string', pattern: '^[a-z]+$' },
              },
            },
          },
        },
      },
      responses: {
        201: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Resp' } } } },
        401: { $ref: '#/components/responses/Error401' },
        default: { $ref: '#/components/responses/Error' },
      },
    });
    expect(paths['/api/v1/x']?.['get']).toMatchObject({
      responses: {
        200: {
          content: {
            'application/json': { schema: { type: 'array', items: { $ref: '#/components/schemas/Mount' } } },
          },
        },
      },
    });
    expect(paths['/api/v1/x/{id}']?.['delete']).toMatchObject({
      parameters: expect.arrayContaining([
        { name: 'id', in: 'path', required: true, schema: { type: 'string', minLength: 1 } },
        { name: 'force', in: 'query', schema: { type: 'boolean' } },
        { name: 'names', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
      ]),
      responses: { 204: { description: 'Done' } },
    });
    expect(paths['/api/v1/x/{id}/start']?.['post']).toMatchObject({
      requestBody: {
        content: {
          'application/json': {
            schema: { properties: expect.not.objectContaining({ id: expect.anything() }) },
          },
        },
      },
    });
  });

  it('lists the fields that every answer has', async () => {
    const { components } = (await testDocument()) as { components: { schemas: object } };
    expect(components.schemas).toMatchObject({
      Mount: { required: ['target'], properties: { inner: { $ref: '#/components/schemas/Mount' } } },
      MountInput: { additionalProperties: false },
      Resp: {
        required: ['mounts', 'size', 'by_name'],
        properties: { raw: { type: 'object' }, size: { type: 'integer', format: 'int64', minimum: 0 } },
      },
    });
    expect(components.schemas).not.toMatchObject({ MountInput: { required: expect.anything() } });
  });

  it('describes the lines of a stream, and where its input goes', async () => {
    const { paths } = (await testDocument()) as { paths: Record<string, Record<string, unknown>> };
    const lines = (...names: string[]) => ({
      'application/x-ndjson': {
        schema: { oneOf: names.map(name => ({ $ref: `#/components/schemas/${name}` })) },
      },
    });
    expect(paths['/api/v1/x/{id}/read']?.['get']).toMatchObject({
      responses: { 200: { content: lines('OutputLine', 'ErrorLine') } },
    });
    expect(paths['/api/v1/x/{id}/run']?.['post']).toMatchObject({
      responses: {
        200: {
          headers: { 'x-exec-session': expect.anything() as object },
          content: lines('OutputLine', 'ExitLine', 'ErrorLine'),
        },
      },
    });
    expect(paths['/api/v1/x/{id}/run/{session}/input']?.['post']).toMatchObject({
      parameters: [{ name: 'id' }, { name: 'session' }],
      requestBody: {
        content: { 'application/x-ndjson': { schema: { $ref: '#/components/schemas/InputLine' } } },
      },
      responses: { 204: { description: 'All of it was taken' } },
    });
  });

  it('lists every reason of an error, with what to do', async () => {
    const { components } = (await testDocument()) as { components: { schemas: Record<string, object> } };
    expect(components.schemas['Reason']).toMatchObject({ enum: reasons.map(({ word }) => word) });
    const { description } = components.schemas['Reason'] as { description: string };
    for (const { word, remedy } of reasons)
      expect(description).toMatch(new RegExp(`\`${word}\`.*${RegExp.escape(remedy)}`));
    expect(components).toMatchObject({
      responses: {
        Error: {
          content: {
            'application/json': {
              schema: {
                required: ['error', 'reason'],
                properties: { reason: { $ref: '#/components/schemas/Reason' } },
              },
            },
          },
        },
      },
    });
  });

  it('does not show verbs that are over the stream only', () => {
    const { paths } = documentOf(readVerbs()) as { paths: object };
    expect(JSON.stringify(paths)).not.toContain('list_containers');
  });

  it('knows every part that the last line of a stream can have', () => {
    const line = encodeStreamError({ code: 404, reason: 'not_found', message: 'm', field: 'id' });
    expect(streamSchemas.ErrorLine).toMatchObject({
      properties: Object.fromEntries(
        Object.keys(line).map(name => [
          name,
          name === 'reason'
            ? { $ref: '#/components/schemas/Reason' }
            : { type: expect.any(String) as string },
        ]),
      ),
    });
  });

  it('describes every field, and what each refusal means', () => {
    const document = documentOf(readVerbs());
    const { components } = document as { components: { schemas: Record<string, object> } };
    expect(undescribed(document)).toEqual([]);
    expect(components.schemas).toMatchObject({
      PortMappingInput: {
        required: ['host_port', 'container_port'],
        properties: { host_port: { minimum: 1, maximum: 65_535 } },
      },
      MountInput: { required: ['target'], allOf: [{ oneOf: [{ required: ['volume'] }, {}, {}] }] },
    });
    for (const { word, code, remedy } of reasons.filter(it => restReasons.includes(it.word)))
      expect(components).toMatchObject({
        responses: {
          [`Error${code}`]: {
            description: expect.stringMatching(new RegExp(`\`${word}\`.*${RegExp.escape(remedy)}`)) as string,
          },
        },
      });
  });

  it('lists every reason that the code of this package raises over REST', async () => {
    const folder = join(import.meta.dirname, '..');
    const names = (await readdir(folder, { recursive: true })).filter(name => /\.ts$/.test(name));
    const source = await Promise.all(
      names.filter(name => !/test/.test(name)).map(name => readFile(join(folder, name), 'utf8')),
    );
    // These are of builds, and of commands of the stream.
    const others = ['build_failed', 'request_id_in_flight', 'request_id_unknown', 'caller_left'];
    const raised = reasons.filter(({ word }) => source.some(text => text.includes(`'${word}'`)));
    expect(raised.length).toBeGreaterThan(30);
    expect(
      raised.map(({ word }) => word).filter(word => ![...restReasons, ...others].includes(word)),
    ).toEqual([]);
  });
});

/** The fields of a document's objects that say nothing of themselves, as paths. */
function undescribed(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const at = `${path}.${name}`;
    if (name !== 'properties') return undescribed(inner, at);
    return Object.entries(inner as Record<string, object>).flatMap(([field, schema]) => [
      ...('description' in schema || '$ref' in schema ? [] : [`${at}.${field}`]),
      ...undescribed(schema, `${at}.${field}`),
    ]);
  });
}
