import { describe, expect, it } from 'vitest';
import { editTokens, parseDenyList } from './deny-list.ts';

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

describe('edits of a deny list', () => {
  const put = (tokenId: string) => ({ tokenId, isRevoked: true });
  const out = (tokenId: string) => ({ tokenId, isRevoked: false });

  it('adds a token once, on a line of its own, and does not change a text that already has it', () => {
    expect(editTokens('', [put('a')])).toBe('jti a\n');
    expect(editTokens('sub h', [put('a'), put('a'), put('b')])).toBe('sub h\njti a\njti b\n');
    expect(editTokens('jti a # by hand', [put('a')])).toBe('jti a # by hand');
    expect(editTokens('# none\n', [out('a')])).toBe('# none\n');
  });

  it('removes every line of a token, and nothing else', () => {
    const text = '# list\n jti a # why\nsub a\njti ab\njti a\n\n';
    expect(editTokens(text, [out('a')])).toBe('# list\nsub a\njti ab\n\n');
  });

  it('of one token: the last counts', () => {
    expect(editTokens('jti a\n', [out('a'), put('a')])).toBe('jti a\n');
    expect(editTokens('jti a\njti b\n', [put('c'), out('a'), out('c')])).toBe('jti b\n');
  });

  it('a long list from another broker does not block this one', () => {
    const text = Array.from({ length: 25_000 }, (_, n) => `jti known-${n}\n`).join('');
    const edits = Array.from({ length: 50_000 }, (_, n) => (n % 2 ? put(`new-${n}`) : out(`known-${n}`)));
    const startedAt = performance.now();
    // Hosts are given up after ten seconds without an answer to their PING.
    expect(parseDenyList(editTokens(text, edits)).size).toBe(37_500);
    expect(performance.now() - startedAt).toBeLessThan(8000);
  });
});
