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

it('an answer within the limit is read, with its size', () => {
  const bytes = answerOf(1000);
  const { message, bytes: size } = readFrame(bytes);
  expect(message?.payload).toMatchObject({
    case: 'response',
    value: { requestId: 'r-9', body: { case: 'listContainers' } },
  });
  expect(size).toBe(bytes.length);
});

it('an answer over the limit becomes an Error 413 of the same request', () => {
  const { message } = readFrame(answerOf(maxResponseBytes));
  expect(message?.payload).toMatchObject({
    case: 'response',
    value: { requestId: 'r-9', body: { case: 'error', value: { code: 413 } } },
  });
});

it('a frame over the limit that is no answer is of no request', () => {
  const hello = create(ClientMsgSchema, {
    payload: { case: 'hello', value: { cooldVersion: 'x'.repeat(maxResponseBytes) } },
  });
  expect(readFrame(toBinary(ClientMsgSchema, hello)).message?.payload).toMatchObject({
    value: { requestId: '' },
  });
});

it('a payload of a later schema is no payload, not an error', () => {
  // Field 250, length-delimited, three bytes.
  expect(readFrame(Uint8Array.of(0xd2, 0x0f, 3, 1, 2, 3)).message?.payload).toMatchObject({
    case: undefined,
  });
});

it('bytes that are no message are no message, whatever their size', () => {
  expect(readFrame(Uint8Array.of(0x0a, 0xff, 0xff)).message).toBeUndefined();
  expect(readFrame(new Uint8Array(maxResponseBytes + 1).fill(0xff)).message).toBeUndefined();
});
