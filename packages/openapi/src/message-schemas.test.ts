import { getOption } from '@bufbuild/protobuf';
import {
  ContainersCreateRequestSchema,
  FirewallAllowRequestSchema,
  jsonRules,
  readVerbs,
} from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { MessageSchemas } from './message-schemas.ts';

describe('the schema of a request', () => {
  const schemas = new MessageSchemas();
  const { properties, required } = schemas.ofFields(ContainersCreateRequestSchema.fields, 'request');

  it('says what is needed, and takes null for all else', () => {
    expect(required).toEqual(['image', 'name']);
    expect(properties['name']).toMatchObject({
      type: 'string',
      pattern: expect.stringMatching(/^\^\[A-Z/) as string,
    });
    expect(properties['stop_timeout']).toMatchObject({
      type: ['integer', 'null'],
      minimum: 0,
      maximum: 86_400,
    });
  });

  it('takes an empty text for an absent one, and no other text that does not fit', () => {
    const pattern = new RegExp(String(properties['ip']?.['pattern']), 'u');
    expect(['', '10.210.5.2', '255.255.255.255'].filter(text => !pattern.test(text))).toEqual([]);
    expect(
      ['10.210.5', '10.210.5.256', '10.210.5.2.', '010.1.1.1', 'x'].filter(text => pattern.test(text)),
    ).toEqual([]);
  });

  it('takes what PHP writes for an empty map', () => {
    expect(properties['env']).toMatchObject({
      type: ['object', 'array', 'null'],
      maxItems: 0,
      additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
    });
  });

  it('describes each field in the words of the .proto', () => {
    expect(schemas.ofFields(FirewallAllowRequestSchema.fields, 'request').properties['src']).toMatchObject({
      description: 'The address that the flow comes from: one IPv4 address.',
    });
  });
});

it('every pattern of the .proto is a regular expression, also with the flag u', () => {
  const patterns = [...readVerbs().values()].flatMap(({ request }) =>
    request.fields.map(field => getOption(field, jsonRules).pattern).filter(pattern => pattern !== ''),
  );
  expect(patterns.length).toBeGreaterThan(20);
  for (const pattern of patterns) expect(() => new RegExp(pattern, 'u')).not.toThrow();
});
