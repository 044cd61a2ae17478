import {
  create,
  type DescField,
  type DescMessage,
  equals,
  type Message,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileProto } from './buf.ts';
import { FieldError } from './field-error.ts';
import {
  BuildRequestSchema,
  BuildResponseBodySchema,
  BuildStack,
  ListContainersRespSchema,
} from './index.ts';
import { fieldEncoder, fieldValue, type JsonCodec, jsonCodec } from './json.ts';

/** One field of every kind that a verb may come to have. */
const proto = `
  syntax = "proto3";
  package test;
  import "coolify/agent/v1/verb.proto";
  import "google/protobuf/struct.proto";
  enum Shade { SHADE_UNSPECIFIED = 0; SHADE_DARK = 1; SHADE_PALE = 5; }
  message Part { string target_path = 1; repeated uint32 small_numbers = 2; }
  message Every {
    string host_name = 1;
    bool is_up = 2;
    bytes raw = 3;
    double ratio = 4;
    float share = 5;
    uint32 u32 = 6;
    fixed32 f32 = 7;
    int32 i32 = 8;
    sint32 s32 = 9;
    sfixed32 sf32 = 10;
    uint64 u64 = 11;
    fixed64 f64 = 12;
    int64 i64 = 13;
    sint64 s64 = 14;
    sfixed64 sf64 = 15;
    optional string nick_name = 20;
    optional uint32 port = 21;
    Shade shade = 30;
    Part main_part = 31;
    repeated string names = 40;
    repeated Shade shades = 41;
    repeated Part parts = 42;
    repeated uint64 sizes = 43;
    map<string, string> labels = 50;
    map<string, Shade> shade_by_name = 51;
    map<string, Part> part_by_name = 52;
    map<string, uint64> size_by_name = 53;
    oneof some_form { string volume_name = 60; Part bind = 61; bool tmpfs = 62; }
    Every inner = 70;
    map<string, string> env = 80 [(coolify.agent.v1.takes_scalars) = true];
  }
  message Loose { google.protobuf.Value any = 1; google.protobuf.Struct any_object = 2; }
  message Keyed { map<int32, string> by_number = 1; }`;

let every: DescMessage;
let keyed: DescMessage;
let codec: JsonCodec;
let loose: JsonCodec;

beforeAll(async () => {
  const registry = await compileProto({ 'test.proto': proto });
  const message = (name: string): DescMessage => {
    const found = registry.getMessage(name);
    if (found === undefined) throw new Error(`no message ${name}`);
    return found;
  };
  every = message('test.Every');
  keyed = message('test.Keyed');
  codec = jsonCodec(every);
  loose = jsonCodec(message('test.Loose'));
});

/** The field and the sentence of the refusal. */
function refusal(json: unknown, by = codec): { field: string; message: string } {
  try {
    by.decode(json);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { field: error.field, message: error.message };
  }
  throw new Error(`taken: ${JSON.stringify(json)}`);
}

/** What is left of JSON text after it was read, sent over the wire's types and written again. */
function through(text: string): unknown {
  return JSON.parse(JSON.stringify(codec.encode(codec.decode(JSON.parse(text)))));
}

describe('what Laravel reads', () => {
  it('has names in snake_case, and every field that cannot be absent', () => {
    expect(JSON.parse(JSON.stringify(codec.encode(create(every))))).toEqual({
      host_name: '',
      is_up: false,
      raw: '',
      ratio: 0,
      share: 0,
      u32: 0,
      f32: 0,
      i32: 0,
      s32: 0,
      sf32: 0,
      u64: 0,
      f64: 0,
      i64: 0,
      s64: 0,
      sf64: 0,
      shade: 'SHADE_UNSPECIFIED',
      names: [],
      shades: [],
      parts: [],
      sizes: [],
      labels: {},
      shade_by_name: {},
      part_by_name: {},
      size_by_name: {},
      env: {},
    });
  });

  it('has the containers of schema 1 as they always were', () => {
    const message = create(ListContainersRespSchema, {
      containers: [{ id: 'c', name: 'web', image: 'i', state: 'running', networks: ['n'] }, {}],
    });
    expect(jsonCodec(ListContainersRespSchema).encode(message)).toEqual({
      containers: [
        { id: 'c', name: 'web', image: 'i', state: 'running', networks: ['n'] },
        { id: '', name: '', image: '', state: '', networks: [] },
      ],
    });
  });

  it('has numbers of 64 bits as numbers, alone, in lists and in maps', () => {
    const json = '{"u64":9007199254740991,"i64":-9007199254740991,"sizes":[1,2],"size_by_name":{"a":3}}';
    expect(through(json)).toMatchObject(JSON.parse(json) as object);
    const message = create(BuildResponseBodySchema, {
      body: { case: 'ok', value: { digest: 'd', durationMs: 300n, stackUsed: BuildStack.STATIC } },
    });
    expect(JSON.stringify(jsonCodec(BuildResponseBodySchema).encode(message))).toBe(
      '{"ok":{"digest":"d","registry_ref":"","duration_ms":300,"stack_used":"BUILD_STACK_STATIC"},"nonce":""}',
    );
  });

  it('has of a oneof the member that is set, even to nothing', () => {
    expect(through('{"tmpfs":false}')).toMatchObject({ tmpfs: false });
    expect(through('{"tmpfs":false}')).not.toHaveProperty('volume_name');
    expect(codec.encode(create(every))).not.toHaveProperty('tmpfs');
  });

  it('has an optional field when it is set, even to nothing', () => {
    expect(through('{"nick_name":"","port":0}')).toMatchObject({ nick_name: '', port: 0 });
    expect(through('{}')).not.toHaveProperty('port');
  });

  it('has the number of an enum value that this build does not know', () => {
    expect(codec.encode(create(every, { shade: 7 }))).toMatchObject({ shade: 7 });
  });

  it('has bytes as base64', () => {
    expect(codec.encode(create(every, { raw: new Uint8Array([0, 255, 16]) }))).toMatchObject({ raw: 'AP8Q' });
  });

  it('can be the value of one field', () => {
    const field = ListContainersRespSchema.field.containers;
    const message = create(ListContainersRespSchema, { containers: [{ id: 'c' }] });
    expect(fieldEncoder(field)(fieldValue(message, field))).toEqual([
      { id: 'c', name: '', image: '', state: '', networks: [] },
    ]);
  });
});

describe('what Laravel sends', () => {
  it('is read by the names of the schema, however deep', () => {
    const json = { repo_url: 'u', stack: 'BUILD_STACK_STATIC', static_cfg: { output_dir: 'dist' } };
    expect(jsonCodec(BuildRequestSchema).decode(json)).toEqual(
      create(BuildRequestSchema, {
        repoUrl: 'u',
        stack: BuildStack.STATIC,
        staticCfg: { outputDir: 'dist' },
      }),
    );
    expect(
      codec.encode(codec.decode({ inner: { inner: { main_part: { target_path: '/' } } } })),
    ).toMatchObject({ inner: { inner: { main_part: { target_path: '/' } } } });
  });

  it.each([null, undefined, 1, 'text', true, [], [{}]])('is refused as a whole when it is %j', json => {
    expect(refusal(json)).toEqual({ field: 'command', message: 'command: expected an object' });
  });

  it.each([
    [{ host_name: 1 }, 'host_name', 'text'],
    [{ is_up: 'true' }, 'is_up', 'true or false'],
    [{ is_up: 1 }, 'is_up', 'true or false'],
    [{ raw: 'not base64!' }, 'raw', 'base64 text'],
    [{ raw: [1] }, 'raw', 'base64 text'],
    [{ ratio: '1.5' }, 'ratio', 'a number'],
    [{ u32: '1' }, 'u32', 'a whole number from 0 to 4294967295'],
    [{ u32: -1 }, 'u32', 'a whole number from 0 to 4294967295'],
    [{ u32: 4_294_967_296 }, 'u32', 'a whole number from 0 to 4294967295'],
    [{ f32: 1.5 }, 'f32', 'a whole number from 0 to 4294967295'],
    [{ i32: 2_147_483_648 }, 'i32', 'a whole number of 32 bits'],
    [{ s32: -2_147_483_649 }, 's32', 'a whole number of 32 bits'],
    [{ sf32: 0.5 }, 'sf32', 'a whole number of 32 bits'],
    [{ u64: -1 }, 'u64', 'a whole number, not negative'],
    [{ u64: '1' }, 'u64', 'a whole number, not negative'],
    [{ f64: 9_007_199_254_740_992 }, 'f64', 'a whole number, not negative'],
    [{ i64: 0.5 }, 'i64', 'a whole number'],
    [{ s64: -9_007_199_254_740_992 }, 's64', 'a whole number'],
    [{ sf64: true }, 'sf64', 'a whole number'],
    [{ shade: 'DARK' }, 'shade', 'one of SHADE_UNSPECIFIED, SHADE_DARK, SHADE_PALE'],
    [{ shade: 1 }, 'shade', 'one of SHADE_UNSPECIFIED, SHADE_DARK, SHADE_PALE'],
    [{ shade: 'toString' }, 'shade', 'one of SHADE_UNSPECIFIED, SHADE_DARK, SHADE_PALE'],
    [{ main_part: [{}] }, 'main_part', 'an object'],
    [{ parts: [null] }, 'parts[0]', 'an object'],
    [{ names: {} }, 'names', 'a list'],
    [{ is_up: [] }, 'is_up', 'true or false'],
    [{ env: { A: [] } }, 'env.A', 'text, a number that is exact, true or false'],
    [{ env: { A: {} } }, 'env.A', 'text, a number that is exact, true or false'],
    [{ env: { A: 9_007_199_254_740_992 } }, 'env.A', 'text, a number that is exact, true or false'],
    [{ main_part: { target_path: 1 } }, 'main_part.target_path', 'text'],
    [{ names: 'a' }, 'names', 'a list'],
    [{ names: { 0: 'a' } }, 'names', 'a list'],
    [{ names: ['a', null] }, 'names[1]', 'text'],
    [{ shades: ['SHADE_DARK', ''] }, 'shades[1]', 'one of SHADE_UNSPECIFIED, SHADE_DARK, SHADE_PALE'],
    [
      { parts: [{}, { small_numbers: [0, 1, -1] }] },
      'parts[1].small_numbers[2]',
      'a whole number from 0 to 4294967295',
    ],
    [{ labels: ['a'] }, 'labels', 'an object'],
    [{ labels: { a: 1 } }, 'labels.a', 'text'],
    [{ part_by_name: { a: { small_numbers: 1 } } }, 'part_by_name.a.small_numbers', 'a list'],
    [{ inner: { inner: { is_up: 0 } } }, 'inner.inner.is_up', 'true or false'],
  ])('is refused by the path of what offends: %j', (json, field, expected) => {
    expect(refusal(json)).toEqual({ field, message: `${field}: expected ${expected}` });
  });

  it.each([
    ['null for absent', '{"host_name":null,"port":null,"main_part":null,"names":null,"labels":null}', '{}'],
    [
      'null for absent, however deep',
      '{"inner":{"nick_name":null},"parts":[{"small_numbers":null}]}',
      '{"inner":{},"parts":[{}]}',
    ],
    [
      'null for the absent members of a oneof',
      '{"volume_name":null,"bind":null,"tmpfs":true}',
      '{"tmpfs":true}',
    ],
    [
      'null for an absent entry',
      '{"labels":{"a":null,"b":"c"},"part_by_name":{"a":null}}',
      '{"labels":{"b":"c"}}',
    ],
    ['[] for an empty map', '{"labels":[],"env":[],"part_by_name":[]}', '{}'],
    [
      '[] for an empty object',
      '{"main_part":[],"parts":[[]],"part_by_name":{"a":[]}}',
      '{"main_part":{},"parts":[{}],"part_by_name":{"a":{}}}',
    ],
    [
      'numbers and booleans in env',
      '{"env":{"A":8080,"B":-0.5,"C":true,"D":false,"E":""}}',
      '{"env":{"A":"8080","B":"-0.5","C":"true","D":"false","E":""}}',
    ],
  ])('is understood as PHP writes it: %s', (_, php, meant) => {
    expect(through(php)).toEqual(through(meant));
  });

  it('has null where any JSON may stand', () => {
    const anything = (json: unknown) => loose.encode(loose.decode(json));
    expect(anything({ any: null })).toEqual({ any: null });
    expect(anything({ any_object: { a: null } })).toEqual({ any_object: { a: null } });
    expect(anything({ any_object: null })).toEqual({});
    expect(anything({ any: [], any_object: [] })).toEqual({ any: [], any_object: {} });
  });

  it.each([
    [{ hostName: 'a' }, 'hostName'],
    [{ nosuch: null }, 'nosuch'],
    [{ nosuch: [] }, 'nosuch'],
    [{ unknown: undefined }, 'unknown'],
    [{ parts: [{}, { x: 1 }] }, 'parts[1].x'],
    [{ some_form: { volume_name: 'a' } }, 'some_form'],
    [{ constructor: 'a' }, 'constructor'],
    [{ $typeName: 'test.Every' }, '$typeName'],
  ])('is refused for a name that is not a field: %j', (json, field) => {
    expect(refusal(json)).toEqual({ field, message: `${field}: is not a field of this request` });
  });

  it('is refused for a number that is none, or that its field cannot hold', () => {
    for (const text of ['1e400', '-1e400']) {
      expect(refusal(JSON.parse(`{"ratio":${text}}`)).field).toBe('ratio');
      expect(refusal(JSON.parse(`{"share":${text}}`)).field).toBe('share');
      expect(refusal(JSON.parse(`{"u32":${text}}`)).field).toBe('u32');
      expect(refusal(JSON.parse(`{"i64":${text}}`)).field).toBe('i64');
    }
    expect(refusal({ ratio: Number.NaN }).field).toBe('ratio');
    expect(refusal({ share: 1e39 })).toEqual({
      field: 'share',
      message: 'share: expected a number of 32 bits',
    });
    const largest = codec.decode({ share: 3.4028234663852886e38, ratio: Number.MAX_VALUE });
    expect(toBinary(every, largest).length).toBeGreaterThan(0);
  });

  it('takes -0 for 0', () => {
    for (const name of ['u32', 'i32', 'u64', 'i64', 'ratio'])
      expect(JSON.stringify(through(`{"${name}":-0}`))).toContain(`"${name}":0`);
    expect(toBinary(every, codec.decode({ u32: -0, i32: -0, u64: -0, i64: -0 })).length).toBe(0);
  });

  it.each([
    [{ volume_name: 'a', tmpfs: true }, 'tmpfs'],
    [{ tmpfs: false, volume_name: '' }, 'volume_name'],
    [{ bind: {}, volume_name: 'a' }, 'volume_name'],
  ])('may have one member of a oneof: %j', (json, field) => {
    expect(refusal(json)).toEqual({ field, message: `${field}: excludes the other forms of some_form` });
    expect(refusal({ inner: json }).field).toBe(`inner.${field}`);
  });

  it('may be long', () => {
    const names = Array.from({ length: 200_000 }, (_, index) => String(index));
    expect(codec.encode(codec.decode({ names }))).toMatchObject({ names });
    expect(refusal({ names: [...names, 1] }).field).toBe('names[200000]');
  });
});

describe('the name __proto__', () => {
  it('is a field like any other that does not exist', () => {
    expect(refusal(JSON.parse('{"__proto__":{"host_name":"a"}}')).field).toBe('__proto__');
    expect(refusal(JSON.parse('{"main_part":{"__proto__":{}}}')).field).toBe('main_part.__proto__');
  });

  it('is a key of a map like any other', () => {
    const text =
      '{"labels":{"__proto__":"a","constructor":"b"},"part_by_name":{"__proto__":{"target_path":"/"}}}';
    const message = codec.decode(JSON.parse(text));
    const again = JSON.stringify(codec.encode(message));
    expect(again).toContain('"labels":{"__proto__":"a","constructor":"b"}');
    expect(again).toContain('"part_by_name":{"__proto__":{"target_path":"/","small_numbers":[]}}');
    expect(Object.hasOwn(Object.prototype, 'target_path')).toBe(false);
    const sent = Buffer.from(toBinary(every, message)).toString('latin1');
    expect(sent.split('__proto__')).toHaveLength(3);
  });
});

it('does not compile a map whose keys are not text', () => {
  expect(() => jsonCodec(keyed)).toThrow('test.Keyed.by_number: only text can be the key of a map in JSON');
});

describe('any message', () => {
  it('is what it was after JSON and back', () => {
    fc.assert(
      fc.property(
        fc.constant(null).chain(() => anyMessage(every, 2)),
        message => {
          const json: unknown = JSON.parse(JSON.stringify(codec.encode(message)));
          expect(equals(every, codec.decode(json), message)).toBe(true);
        },
      ),
    );
  });

  it('that can be read can be written to the wire', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...every.fields.map(field => field.name)), anyJson), json => {
        let message: Message;
        try {
          message = codec.decode(json);
        } catch (error) {
          expect(error).toBeInstanceOf(FieldError);
          return;
        }
        toBinary(every, message);
      }),
      { numRuns: 300 },
    );
  });
});

const anyJson = fc.oneof(
  fc.constantFrom<unknown>(
    '',
    'SHADE_DARK',
    0,
    -0,
    -1,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    1e39,
    0.5,
    true,
    null,
    [],
    {},
  ),
  fc.constantFrom<unknown>(
    ['a'],
    ['SHADE_PALE'],
    [{}],
    { a: 'b' },
    { a: {} },
    { a: 1 },
    { target_path: 'x' },
  ),
  fc.jsonValue(),
);

/** Messages of a type, with each field set or not; `depth` is how far messages go on within messages. */
function anyMessage(type: DescMessage, depth: number): fc.Arbitrary<Message> {
  const single = new Map<string, fc.Arbitrary<unknown>>();
  const oneofs = new Map<string, fc.Arbitrary<unknown>[]>();
  for (const field of type.fields) {
    const value = anyField(field, depth);
    if (value === undefined) continue;
    if (field.oneof === undefined) single.set(field.localName, value);
    else {
      const member = value.map(chosen => ({ case: field.localName, value: chosen }));
      oneofs.set(field.oneof.localName, [...(oneofs.get(field.oneof.localName) ?? []), member]);
    }
  }
  for (const [name, members] of oneofs) single.set(name, fc.oneof(...members));
  return fc
    .record(Object.fromEntries(single), { requiredKeys: [] })
    .map(init => create(type, init as Record<string, unknown>));
}

function anyField(field: DescField, depth: number): fc.Arbitrary<unknown> | undefined {
  const one =
    field.message !== undefined
      ? depth > 0
        ? anyMessage(field.message, depth - 1)
        : undefined
      : field.enum !== undefined
        ? fc.constantFrom(...field.enum.values.map(value => value.number))
        : anyScalar(field.scalar);
  if (one === undefined) return undefined;
  switch (field.fieldKind) {
    case 'list':
      return fc.array(one, { maxLength: 3 });
    case 'map':
      return fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '')), one, {
        maxKeys: 3,
        noNullPrototype: true,
      });
    default:
      return one;
  }
}

function anyScalar(type: ScalarType | undefined): fc.Arbitrary<unknown> {
  const { MAX_SAFE_INTEGER, MIN_SAFE_INTEGER } = Number;
  switch (type) {
    case ScalarType.STRING:
      return fc.string({ unit: 'binary' });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.BYTES:
      return fc.uint8Array();
    case ScalarType.DOUBLE:
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map(withoutSign);
    case ScalarType.FLOAT:
      return fc.float({ noNaN: true, noDefaultInfinity: true }).map(withoutSign);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.bigInt({ min: 0n, max: BigInt(MAX_SAFE_INTEGER) });
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.bigInt({ min: BigInt(MIN_SAFE_INTEGER), max: BigInt(MAX_SAFE_INTEGER) });
    default:
      return fc.integer();
  }
}

/** JSON has one zero. */
function withoutSign(value: number): number {
  return value === 0 ? 0 : value;
}
