import { expect, it } from 'vitest';
import { createAnswerCache } from './answer-cache.ts';

const keepable = { ttl: 60, ttlOffsets: new Uint32Array(1), isNegative: false, isNoSuchName: false };

it('stays within its bytes, and lets go first of what was not asked for longest', () => {
  const cache = createAnswerCache(100_000);
  cache.keep('first', Buffer.alloc(100), keepable, 0);
  cache.keep('second', Buffer.alloc(100), keepable, 0);
  for (let count = 0; count < 10_000; count += 1) {
    cache.keep(`name ${count}`, Buffer.alloc(100), keepable, count);
    expect(cache.find('first')?.keptAt).toBe(0);
    expect(cache.size()).toBeLessThanOrEqual(100_000);
  }
  expect(cache.find('second')).toBeUndefined();
  expect(cache.find('name 9999')?.keptAt).toBe(9999);
});

it('keeps a copy, the last one, and none that is large', () => {
  const cache = createAnswerCache(100_000);
  const message = Buffer.from('one');
  cache.keep('a', message, keepable, 0);
  message.fill(0);
  expect(cache.find('a')?.message.toString()).toBe('one');
  cache.keep('a', Buffer.from('other'), keepable, 0);
  expect(cache.find('a')?.message.toString()).toBe('other');
  const size = cache.size();
  cache.keep('b', Buffer.alloc(5000), keepable, 0);
  expect([cache.find('b'), cache.size()]).toEqual([undefined, size]);
  cache.keep('a', Buffer.alloc(5000), keepable, 0);
  expect([cache.find('a'), cache.size()]).toEqual([undefined, 0]);
});
