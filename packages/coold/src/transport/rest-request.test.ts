import type { DescMessage } from '@bufbuild/protobuf';
import type { HttpPlace } from '@coold/proto';
import { compileProto } from '@coold/proto/buf';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type RestRequest, readRestRequest } from './rest-request.ts';
import { requestShape } from './rest-route.ts';

let message: DescMessage;
beforeAll(async () => {
  const registry = await compileProto({
    'test.proto': `
      syntax = "proto3";
      package test;
      enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
      message Inner { string text = 1; }
      message Req {
        string id = 1; bool force = 2; optional uint32 timeout = 3; int64 tail = 4; double cpus = 5;
        repeated string names = 6; repeated int32 numbers = 7; Color color = 8; Inner inner = 9;
        map<string, string> labels = 10; repeated Inner inners = 11;
      }`,
  });
  message = registry.getMessage('test.Req') ?? expect.fail();
});

function read(method: HttpPlace['method'], request: Partial<RestRequest>) {
  const shape = requestShape(
    { method, path: '/x/{id}', status: 200, pathFields: ['id'], maxBodyBytes: 1024 },
    message,
  );
  const decoded = readRestRequest(shape, { params: { id: 'c1' }, query: '', body: undefined, ...request });
  return shape.codec.encode(decoded);
}

describe.each(['GET', 'DELETE'] as const)('%s', method => {
  it('takes its fields from path and query, typed by the descriptor', () => {
    expect(
      read(method, {
        query: 'force=1&timeout=0&tail=-3&cpus=1.5e0&names=a%26b&names=c+d&numbers=-1&color=COLOR_RED',
      }),
    ).toMatchObject({
      id: 'c1',
      force: true,
      timeout: 0,
      tail: -3,
      cpus: 1.5,
      names: ['a&b', 'c d'],
      numbers: [-1],
      color: 'COLOR_RED',
    });
  });

  it.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])('reads the boolean %s', (text, force) => {
    expect(read(method, { query: `force=${text}` })).toMatchObject({ force });
  });

  it('takes them from a body where there is one', () => {
    expect(read(method, { body: { force: true, inner: { text: 't' } } })).toMatchObject({
      id: 'c1',
      force: true,
      inner: { text: 't' },
    });
  });

  it.each([
    ['force', 'force', 'true, false, 1 or 0'],
    ['force=', 'force', 'true, false, 1 or 0'],
    ['force=TRUE', 'force', 'true, false, 1 or 0'],
    ['force=yes', 'force', 'true, false, 1 or 0'],
    ['force=1&force=1', 'force', 'more than once'],
    ['timeout=-1', 'timeout', 'a whole number'],
    ['timeout=1.5', 'timeout', 'a whole number'],
    ['timeout=0x10', 'timeout', 'a number'],
    ['timeout=%201', 'timeout', 'a number'],
    ['timeout=', 'timeout', 'a number'],
    ['tail=1e30', 'tail', 'a whole number'],
    ['tail=Infinity', 'tail', 'a number'],
    ['cpus=1e400', 'cpus', 'a number'],
    ['numbers=1&numbers=x', 'numbers[1]', 'a number'],
    ['color=RED', 'color', 'one of'],
    ['inner=x', 'inner', 'a JSON body'],
    ['labels=x', 'labels', 'a JSON body'],
    ['inners=x', 'inners', 'a JSON body'],
    ['other=1', 'other', 'is not a field'],
    ['Force=1', 'Force', 'is not a field'],
    ['__proto__=1', '__proto__', 'is not a field'],
    ['constructor=1', 'constructor', 'is not a field'],
    ['id=c2', 'id', 'is given by the path'],
    ['names=%ff', 'query', 'is not percent-encoded'],
    ['names=%', 'query', 'is not percent-encoded'],
  ])('refuses ?%s naming the field', (query, field, complaint) => {
    expect(() => read(method, { query })).toThrow(
      expect.objectContaining({ name: 'FieldError', field, message: expect.stringContaining(complaint) }),
    );
  });

  it('refuses query and body together', () => {
    expect(() => read(method, { query: 'force=1', body: {} })).toThrow(/^force: belongs into the body/);
  });
});

describe('POST', () => {
  it('takes its fields from path and body', () => {
    expect(read('POST', { body: { timeout: 3, labels: { a: 'b' } } })).toMatchObject({
      id: 'c1',
      timeout: 3,
      labels: { a: 'b' },
    });
  });

  it('without a body has no other fields', () => {
    expect(read('POST', {})).toEqual(read('POST', { body: {} }));
    expect(read('POST', { body: [] }), 'as PHP writes it').toEqual(read('POST', { body: {} }));
  });

  it.each([
    [[{}], 'body'],
    [null, 'body'],
    ['text', 'body'],
    [{ id: 'c1' }, 'id'],
    [{ timeout: '3' }, 'timeout'],
    [{ inners: [{}, { other: 1 }] }, 'inners[1].other'],
    [JSON.parse('{"__proto__":{"force":true}}'), '__proto__'],
  ])('refuses %j naming the field', (body, field) => {
    expect(() => read('POST', { body })).toThrow(expect.objectContaining({ name: 'FieldError', field }));
  });

  it('refuses a query', () => {
    expect(() => read('POST', { query: 'force=1' })).toThrow(/^force: belongs into the body/);
  });
});

it('a path’s field that is empty is refused', () => {
  for (const params of [{}, { id: '' }])
    expect(() => read('GET', { params })).toThrow(/^id: expected text in the path/);
});

it('whatever a query says, it is read or refused as ours', () => {
  const piece = fc.constantFrom(
    'force',
    'names',
    'id',
    '=',
    '&',
    '%',
    '%41',
    '+',
    '__proto__',
    'ü',
    '1',
    ';',
    '#',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      try {
        read('GET', { query: pieces.join('') });
      } catch (error) {
        expect(error).toMatchObject({ name: 'FieldError' });
      }
    }),
  );
});

it('texts survive a query', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }), names => {
      const query = names.map(name => `names=${encodeURIComponent(name)}`).join('&');
      expect(read('GET', { query })).toMatchObject({ names });
    }),
  );
});
