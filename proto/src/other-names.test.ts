import { describe, expect, it } from 'vitest';
import {
  ContainersCreateRequestSchema,
  ContainersExecRequestSchema,
  jsonCodec,
  ServicesRegisterRequestSchema,
  ServicesUnregisterRequestSchema,
} from './index.ts';

describe('a field with another name', () => {
  it.each([
    [ContainersExecRequestSchema, 'cmd', 'command', ['ls']],
    [ContainersCreateRequestSchema, 'command', 'cmd', ['ls']],
    [ServicesUnregisterRequestSchema, 'id', 'service_id', 'web'],
    [ServicesRegisterRequestSchema, 'service_id', 'id', 'web'],
  ] as const)('%s: $1 is understood as $2 too', (schema, name, other, value) => {
    const codec = jsonCodec(schema);
    expect(codec.decode({ [other]: value })).toEqual(codec.decode({ [name]: value }));
    expect(codec.encode(codec.decode({ [other]: value }))).toMatchObject({ [name]: value });
  });

  it.each([
    { cmd: ['a'], command: ['a'] },
    { command: ['a'], cmd: ['a'] },
  ])('is not given by both: %j', both => {
    expect(() => jsonCodec(ContainersExecRequestSchema).decode(both)).toThrow(
      /^(?:cmd|command): means cmd, which is given twice$/,
    );
  });

  it('is absent where it is null', () => {
    const { encode, decode } = jsonCodec(ContainersExecRequestSchema);
    expect(encode(decode({ cmd: ['a'], command: null }))).toMatchObject({ cmd: ['a'] });
  });
});
