import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runChild } from '../processes/child.ts';
import { authorityLife, certificateLife, endsSoon, tokenLife } from './life.ts';

const day = 86_400_000;

it.each([
  ['a year, with 15 days left', 365 * day, 15 * day, false],
  ['a year, with 13 days left', 365 * day, 13 * day, true],
  ['an hour, with 16 minutes left', 3_600_000, 960_000, false],
  ['an hour, with 14 minutes left', 3_600_000, 840_000, true],
  ['an hour, and over', 3_600_000, -1, true],
])('a life of %s', (_, life, left, soon) => {
  const now = 1e12;
  expect(endsSoon({ begins: now + left - life, ends: now + left }, now)).toBe(soon);
});

it('one that does not say when it began is renewed 14 days ahead', () => {
  expect(endsSoon({ begins: undefined, ends: 15 * day }, 0)).toBe(false);
  expect(endsSoon({ begins: undefined, ends: 13 * day }, 0)).toBe(true);
});

const jwt = (claims: unknown) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

it.each([
  [jwt({ iat: 10, exp: 20 }), { begins: 10_000, ends: 20_000 }],
  [jwt({ exp: 20 }), { begins: undefined, ends: 20_000 }],
  [jwt({ iat: 'x', exp: 20 }), { begins: undefined, ends: 20_000 }],
  [jwt({ exp: 'soon' }), undefined],
  [jwt({}), undefined],
  [jwt(null), undefined],
  ['a.b.c', undefined],
  ['', undefined],
])('%s is good %j', (token, life) => {
  expect(tokenLife(token)).toEqual(life);
});

it('certificates say it themselves; of several CAs the last to end counts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'life-'));
  try {
    const make = async (name: string, days: number) => {
      const subject = ['-subj', `/CN=${name}`, '-days', String(days), '-keyout', '/dev/null'];
      const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
      const out = join(folder, name);
      const { code } = await runChild('openssl', [...made, ...subject, '-out', out], { timeoutMs: 30_000 });
      expect(code).toBe(0);
      return await readFile(out, 'utf8');
    };
    const [short, long] = [await make('short', 2), await make('long', 20)];
    expect(certificateLife(short).ends).toBe(new X509Certificate(short).validToDate.getTime());
    expect(certificateLife(`${short}${long}`)).toEqual(certificateLife(short));
    for (const both of [`${short}${long}`, `${long}${short}`])
      expect(authorityLife(both)).toEqual(certificateLife(long));
    expect(() => authorityLife('no certificate')).toThrow();
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);
