import { describe, expect, it } from 'vitest';
import { capsOf, keepsFromBuilding } from './capability.ts';

const token = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.sig`;

describe('a token', () => {
  it.each([
    [token({ caps: ['coold', 'builder'] }), ['coold', 'builder']],
    [token({ caps: ['coold', 1] }), ['coold']],
    [token({ caps: 'builder' }), []],
    [token(null), []],
    ['not-a-token', []],
    ['', []],
  ])('grants what it claims: %s', (text, caps) => {
    expect(capsOf(text)).toEqual(caps);
  });
});

describe('a host', () => {
  it('builds when its token grants it and the builder is installed', async () => {
    expect(await keepsFromBuilding(token({ caps: ['coold', 'builder'] }), process.execPath)).toBeUndefined();
    expect(await keepsFromBuilding(token({ caps: ['coold'] }), process.execPath)).toContain('does not grant');
    expect(await keepsFromBuilding(token({ caps: ['builder'] }), '/none')).toMatch(
      /COOLD_BUILDER_BIN.*ENOENT/,
    );
  });
});
