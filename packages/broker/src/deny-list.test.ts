import { describe, expect, it } from 'vitest';
import { parseDenyList } from './deny-list.ts';

describe('a deny list', () => {
  it('names hosts and tokens, between comments and empty lines', () => {
    const list = parseDenyList('# stolen in May\nsub host-1\n\n  jti a-b_c # by the audit\n\tsub web:2\r\n');
    expect(list.size).toBe(3);
    expect(list.has({ hostId: 'host-1', tokenId: undefined })).toBe(true);
    expect(list.has({ hostId: 'web:2', tokenId: 'any' })).toBe(true);
    expect(list.has({ hostId: 'other', tokenId: 'a-b_c' })).toBe(true);
    expect(list.has({ hostId: 'a-b_c', tokenId: 'host-1' }), 'each in its own place').toBe(false);
  });

  it('may be empty', () => {
    expect(parseDenyList('').has({ hostId: 'h', tokenId: undefined })).toBe(false);
  });

  it.each([
    ['host-1', 'line 1: expected "sub HOST-ID" or "jti TOKEN-ID"'],
    ['sub a\nsub', 'line 2: expected "sub HOST-ID" or "jti TOKEN-ID"'],
    ['\n\nsub a b', 'line 3: expected "sub HOST-ID" or "jti TOKEN-ID"'],
    ['SUB a', 'line 1: expected "sub HOST-ID" or "jti TOKEN-ID"'],
    ['sub ../etc', 'line 1: expected a host id: '],
    [`jti ${'x'.repeat(257)}`, 'line 1: expected a token id of at most 256 characters'],
  ])('that says %j is refused by its line', (text, message) => {
    expect(() => parseDenyList(text)).toThrow(message);
  });
});
