import fc from 'fast-check';
import { expect, it } from 'vitest';
import { grpcMessage, readGrpcMessage } from './grpc-status.ts';

it('the words of a status are printable ASCII of bounded length, whatever is in them', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 1000 }), details => {
      const message = grpcMessage(details);
      expect(message).toMatch(/^[ -~]*$/);
      expect(message.length).toBeLessThan(512 * 9 + 1);
      expect(readGrpcMessage(message)).toBe(details.slice(0, 512).toWellFormed());
    }),
  );
});

it('half a character does not end the program', () => {
  expect(grpcMessage('a\ud800b')).toBe('a%EF%BF%BDb');
});

it.each([undefined, 7, ['a']])('%j is no words', header => expect(readGrpcMessage(header)).toBe(''));
it('words that are not encoded are read as they are', () => expect(readGrpcMessage('100%')).toBe('100%'));
