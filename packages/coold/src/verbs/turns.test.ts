import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

const { signal } = new AbortController();

test('so many go on at once, the others in the order that they came in', async () => {
  const turns = createTurns(2, 100);
  const begun: number[] = [];
  let atWork = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      turns.take(signal, async () => {
        begun.push(index);
        atWork += 1;
        most = Math.max(most, atWork);
        await new Promise(resolve => setImmediate(resolve));
        atWork -= 1;
      }),
    ),
  );
  expect(most).toBe(2);
  expect(begun).toEqual(Array.from({ length: 50 }, (_, index) => index));
});

test('one more than may wait is refused, and a failure gives its turn on', async () => {
  const turns = createTurns(1, 1);
  const held = Promise.withResolvers<void>();
  const first = turns.take(signal, () => held.promise);
  const second = turns.take(signal, async () => 'second');
  await expect(turns.take(signal, async () => 'third')).rejects.toMatchObject({
    reason: 'host_busy',
    message: '1 of these wait already; ask again',
  });
  held.reject(new Error('failed'));
  await expect(first).rejects.toThrow('failed');
  expect(await second).toBe('second');
  expect(await turns.take(signal, async () => 'fourth')).toBe('fourth');
});

test('a caller that goes while it waits leaves its place', async () => {
  const turns = createTurns(1, 1);
  const held = Promise.withResolvers<void>();
  const first = turns.take(signal, () => held.promise);
  const caller = new AbortController();
  let wasDone = false;
  const second = turns.take(caller.signal, async () => {
    wasDone = true;
  });
  caller.abort();
  await expect(second).rejects.toMatchObject({ reason: 'host_stopping' });
  const third = turns.take(signal, async () => 'third');
  held.resolve();
  await first;
  expect(await third).toBe('third');
  expect(wasDone).toBe(false);
});
