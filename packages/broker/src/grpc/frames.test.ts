import { create, toBinary } from '@bufbuild/protobuf';
import { ClientMsgSchema, maxResponseBytes, ResponseSchema } from '@coold/proto';
import { expect, it } from 'vitest';
import { readFrame } from './frames.ts';

function answerOf(size: number): Uint8Array {
  const container = { id: 'x'.repeat(size), name: '', image: '', state: '', networks: [] };
  const response = create(ResponseSchema, {
    requestId: 'r-9',
    body: { case: 'listContainers', value: { containers: [container] } },
  });
  return toBinary(
    ClientMsgSchema,
    create(ClientMsgSchema, { payload: { case: 'response', value: response } }),
  );
}

it('an answer within the limit is read, with about what it takes in memory', () => {
  const bytes = answerOf(1000);
  const { message, bytes: size } = readFrame(bytes);
  expect(message?.payload).toMatchObject({
    case: 'response',
    value: { requestId: 'r-9', body: { case: 'listContainers' } },
  });
  expect(size).toBeGreaterThan(bytes.length);
  expect(size).toBeLessThan(2 * bytes.length);
});

it.each([
  ['empty elements', { containers: Array.from({ length: 300_000 }, () => ({})) }, []],
  ['elements of one element', { containers: [{ networks: Array.from({ length: 300_000 }, () => '') }] }, []],
  ['fields that nobody knows', {}, Array.from({ length: 300_000 }, () => [0xf8, 0x3f, 1]).flat()],
])('an answer of hundreds of thousands of %s becomes an Error 413 as well', (_name, list, unknown) => {
  const body = { case: 'listContainers' as const, value: list };
  const payload = { case: 'response' as const, value: { requestId: 'r-9', body } };
  // What comes behind belongs to the message that is outermost.
  const bytes = Buffer.concat([
    toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload })),
    Uint8Array.from(unknown),
  ]);
  expect(bytes.length).toBeLessThan(maxResponseBytes);
  expect(readFrame(bytes).message?.payload).toMatchObject({
    case: 'response',
    value: { requestId: 'r-9', body: { case: 'error', value: { code: 413 } } },
  });
});

it('an answer of fifty thousand small elements is read', () => {
  const containers = Array.from({ length: 50_000 }, (_, i) => ({ id: `${i}`, networks: ['n'] }));
  const body = { case: 'listContainers' as const, value: { containers } };
  const payload = { case: 'response' as const, value: { requestId: 'r', body } };
  const { message } = readFrame(toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload })));
  expect(message?.payload).toMatchObject({ value: { body: { case: 'listContainers' } } });
});

it('an answer over the limit becomes an Error 413 of the same request', () => {
  const { message } = readFrame(answerOf(maxResponseBytes));
  expect(message?.payload).toMatchObject({
    case: 'response',
    value: { requestId: 'r-9', body: { case: 'error', value: { code: 413 } } },
  });
});

it('a frame over the limit that is not an answer belongs to no request', () => {
  const hello = create(ClientMsgSchema, {
    payload: { case: 'hello', value: { cooldVersion: 'x'.repeat(maxResponseBytes) } },
  });
  expect(readFrame(toBinary(ClientMsgSchema, hello)).message?.payload).toMatchObject({
    value: { requestId: '' },
  });
});

it('a payload of a later schema is ignored, and is not an error', () => {
  // Field 250, length-delimited, three bytes.
  expect(readFrame(Uint8Array.of(0xd2, 0x0f, 3, 1, 2, 3)).message?.payload).toMatchObject({
    case: undefined,
  });
});

it('undecodable bytes are refused, whatever their size', () => {
  expect(readFrame(Uint8Array.of(0x0a, 0xff, 0xff)).message).toBeUndefined();
  expect(readFrame(new Uint8Array(maxResponseBytes + 1).fill(0xff)).message).toBeUndefined();
});

/** A ClientMsg that holds a Response of request r-9 with this field behind its id. */
function responseWith(field: readonly number[]): Uint8Array {
  const response = [0x0a, 3, ...Buffer.from('r-9'), ...field];
  return Uint8Array.of(0x12, response.length, ...response);
}

it.each([
  ['a body in a place that schema 1 does not have', [0x5a, 1, 0]],
  ['a body that is not what it is here', [0x52, 2, 0x0a, 9]],
  ['a body with a field that it does not have here', [0x52, 2, 0x48, 1]],
  ['a text where a body belongs', [0x50, 1]],
])('%s is an answer of another dialect, and the stream lives', (_name, field) => {
  const { message, isForeign } = readFrame(responseWith(field));
  expect(isForeign).toBe(true);
  expect(message?.payload).toMatchObject({ value: { requestId: 'r-9', body: { case: undefined } } });
});

it('a body of a later schema is of no other dialect', () => {
  expect(readFrame(responseWith([0xfa, 0x18, 1, 0]))).not.toHaveProperty('isForeign');
});
