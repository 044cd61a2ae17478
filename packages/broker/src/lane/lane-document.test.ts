import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readVerbs } from '@coold/proto';
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { startLane } from '../../test/lane.ts';
import { laneDocument } from './lane-document.ts';

interface Document {
  paths: Record<string, Record<string, { responses: object }>>;
  components: { schemas: Record<string, object> };
}

const document = JSON.parse(JSON.stringify(laneDocument(readVerbs().values(), '1.2.3'))) as Document;

describe("the lane's OpenAPI document", () => {
  it('is valid', async () => {
    const result = await new Validator().validate(document as unknown as Record<string, unknown>);
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
  });

  it('is what the lane serves', async () => {
    await using lane = await startLane();
    const answer = await lane.http.request({ path: '/openapi.json' });
    expect([answer.status, answer.headers['content-type'], answer.json()]).toEqual([
      ...[200, expect.stringMatching(/^application\/json/), document],
    ]);
  });

  it('has every call of the lane, and no other', async () => {
    const files = ['lane.ts', 'build-lane.ts', 'stream-lane.ts', 'token-lane.ts'];
    const texts = await Promise.all(files.map(file => readFile(join(import.meta.dirname, file), 'utf8')));
    const calls = /\b(?:lane|scope)\.(get|post|delete)(?:<.*>)?\(\s*'([^']+)'/g;
    const routes = texts
      .flatMap(text => [...text.matchAll(calls)])
      .map(([, method = '', path = '']) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    const described = Object.entries(document.paths).flatMap(([path, calls]) =>
      Object.keys(calls).map(method => `${method} ${path}`),
    );
    expect(described.sort()).toEqual(routes.sort());
  });

  it('has a command for each verb, with what it needs and the bounds of that', () => {
    const { schemas } = document.components;
    for (const { name } of readVerbs().values())
      expect(Object.values(schemas)).toContainEqual(
        expect.objectContaining({
          properties: expect.objectContaining({
            type: expect.objectContaining({ const: name }) as object,
          }) as object,
          required: expect.arrayContaining(['type']) as string[],
          'x-data': expect.anything() as object,
        }),
      );
    expect(schemas['FirewallAllowCommand']).toMatchObject({
      required: ['type', 'src', 'dst'],
      properties: {
        type: { const: 'firewall.allow' },
        src: { type: 'string', format: 'ipv4' },
        port: { minimum: 1, maximum: 65_535 },
      },
      additionalProperties: false,
    });
    expect(schemas['ContainersStopCommand']).toMatchObject({ 'x-data': { type: 'null' } });
    expect(schemas['ListContainersCommand']).toMatchObject({
      'x-data': { type: 'array', items: { $ref: '#/components/schemas/ContainerSummary' } },
    });
  });

  it('says for each status which reasons there are, and what they mean', () => {
    expect(document.paths['/v1/coold/dispatch']?.['post']?.responses).toMatchObject({
      504: {
        description: expect.stringContaining('Repeat the request') as string,
        content: {
          'application/json': {
            schema: { properties: { code: { const: 504 }, reason: { enum: ['dispatch_timeout'] } } },
          },
        },
      },
    });
    expect(document.paths['/v1/build/result/{id}']?.['get']?.responses).toMatchObject({
      408: {
        content: {
          'application/json': { schema: { properties: { stage: { enum: expect.anything() as string[] } } } },
        },
      },
    });
  });
});
