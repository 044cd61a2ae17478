import fc from 'fast-check';
import { expect, it } from 'vitest';
import { grpcMessage } from './grpc-status.ts';

it('the words of a status are printable ASCII of bounded length, whatever is in them', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 1000 }), details => {
      const message = grpcMessage(details);
      expect(message).toMatch(/^[ -~]*$/);
      expect(message.length).toBeLessThan(512 * 9 + 1);
      expect(decodeURI(message)).toBe(details.slice(0, 512).toWellFormed());
    }),
  );
});

it('half a character does not end the program', () => {
  expect(grpcMessage('a\ud800b')).toBe('a%EF%BF%BDb');
});
