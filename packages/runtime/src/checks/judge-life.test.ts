import { expect, it } from 'vitest';
import { judgeLife, type LifeLook, lookAtLife } from './judge-life.ts';

const day = 86_400_000;
const now = Date.parse('2026-11-30T00:00:00Z');
const what = { name: 'the token', renewal: 'renew it' };

it.each<[LifeLook, string]>([
  [{ kind: 'life', life: { begins: now - day, ends: now + 90 * day } }, 'ok'],
  [{ kind: 'life', life: { begins: now - 80 * day, ends: now + 5 * day } }, 'warn'],
  [{ kind: 'life', life: { begins: undefined, ends: now } }, 'fail'],
  [{ kind: 'life', life: { begins: now + day, ends: now + 90 * day } }, 'fail'],
  [{ kind: 'life', life: undefined }, 'warn'],
  [{ kind: 'unusable', why: 'mode 644' }, 'fail'],
])('judges %o: %s', (look, level) => {
  expect(judgeLife(what, look, now).level).toBe(level);
});

it('reads a life, or why there is none', async () => {
  const life = { begins: 1, ends: 2 };
  expect(await lookAtLife(async () => life)).toEqual({ kind: 'life', life });
  expect(await lookAtLife(() => Promise.reject(new Error('gone')))).toEqual({
    kind: 'unusable',
    why: 'gone',
  });
});
