import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isImageReference } from './image-reference.ts';

it('is a name with registry, tag and digest where they are given', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  const tag = fc.stringMatching(/^:[A-Za-z0-9_][A-Za-z0-9_.-]{0,5}$/);
  const digest = fc.stringMatching(/^@sha256:[0-9a-f]{64}$/);
  const host = fc.constantFrom('docker.io/', 'localhost/', '127.0.0.1:5000/', '');
  const optional = (part: fc.Arbitrary<string>) => fc.oneof(fc.constant(''), part);
  fc.assert(
    fc.property(
      host,
      fc.array(word, { minLength: 1, maxLength: 4 }),
      optional(tag),
      optional(digest),
      (h, p, t, d) => {
        expect(isImageReference(`${h}${p.join('/')}${t}${d}`)).toBe(true);
      },
    ),
  );
});

it('is nothing that begins an option, holds white space or a control character, or names a transport', () => {
  const bad = fc.constantFrom(' ', '\n', '\r', '\t', '\0', '$', '"', '\\', '#', '{', '=', ';', '\u2028');
  fc.assert(
    fc.property(fc.string(), bad, fc.string(), (before, character, after) => {
      expect(isImageReference(before + character + after)).toBe(false);
    }),
  );
  for (const text of [
    '',
    '-q',
    '--all',
    'dir:x',
    'oci-archive:x',
    'docker://nginx',
    'a//b',
    'nginx:',
    'a/'.repeat(300),
  ])
    expect(isImageReference(text)).toBe(false);
});
