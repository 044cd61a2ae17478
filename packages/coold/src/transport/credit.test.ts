import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCredit } from './credit.ts';

const forever = new AbortController().signal;

describe('credit', () => {
  it('is spent on whole characters, as much as there is', async () => {
    const credit = createCredit(7n);
    const data = Buffer.from('€€€€');
    expect(await credit.spend(data, 100, forever)).toBe(6);
    const waiting = credit.spend(data.subarray(6), 100, forever);
    credit.grant(1n); // 2 now: no character yet
    credit.grant(1n);
    expect(await waiting).toBe(3);
  });

  it('smaller than a character cuts it when no more is to be expected', async () => {
    const credit = createCredit(2n);
    expect(await credit.spend(Buffer.from('€'), 100, forever)).toBe(2);
    const rest = credit.spend(Buffer.from('€').subarray(2), 100, forever);
    credit.grant(2n);
    expect(await rest).toBe(1);
  });

  it('of more than any number is as good as endless', async () => {
    const credit = createCredit(0n);
    credit.grant(2n ** 64n - 1n);
    credit.grant(2n ** 64n - 1n);
    expect(await credit.spend(Buffer.alloc(500), 100, forever)).toBe(100);
  });

  it('is not waited for when nobody reads any more', async () => {
    const gone = new AbortController();
    const waiting = createCredit(0n).spend(Buffer.from('a'), 100, gone.signal);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await expect(createCredit(9n).spend(Buffer.from('a'), 1, gone.signal)).rejects.toThrow('gone');
  });

  it('is never overdrawn, and all goes through in the end', async () => {
    const reader = fc.record({
      text: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
      window: fc.integer({ min: 1, max: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(reader, async ({ text, window }) => {
        const credit = createCredit(BigInt(window));
        let rest = Buffer.from(text);
        let unread = 0;
        while (rest.length > 0) {
          const spent = credit.spend(rest, 16, forever);
          // A reader that grants only once all it has is read: the least that is promised.
          const size = await Promise.race([spent, new Promise<0>(resolve => setImmediate(resolve, 0))]);
          if (size === 0) {
            expect(unread).toBeGreaterThan(0);
            credit.grant(BigInt(unread));
            unread = 0;
          }
          const sent = size === 0 ? await spent : size;
          unread += sent;
          expect(unread).toBeLessThanOrEqual(window);
          rest = rest.subarray(sent);
        }
      }),
      { numRuns: 50 },
    );
  });
});
