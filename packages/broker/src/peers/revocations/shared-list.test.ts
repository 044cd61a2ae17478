import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createSharedList, isSharedChange, parseSharedList, type SharedChange } from './shared-list.ts';

const revoked = (tokenId: string, version: number): SharedChange => ({ tokenId, version, isRevoked: true });
const restored = (tokenId: string, version: number): SharedChange => ({ tokenId, version, isRevoked: false });

it('the later change counts, and a revocation more than what takes it back at the same version', () => {
  const list = createSharedList();
  expect(list.merge([restored('a', 5)]).taken).toHaveLength(1);
  expect(list.merge([revoked('a', 5)]).taken).toHaveLength(1);
  expect(list.isRevoked('a')).toBe(true);
  expect(list.merge([restored('a', 5), revoked('a', 5), restored('a', 4)]).taken).toEqual([]);
  expect(list.merge([restored('a', 6)]).taken).toHaveLength(1);
  expect(list.isRevoked('a')).toBe(false);
});

it('the next change is later than what is known, whatever the clock says', () => {
  const list = createSharedList();
  expect(list.next('a', true, 100).version).toBe(100);
  list.merge([revoked('a', 500)]);
  expect(list.next('a', false, 100)).toEqual(restored('a', 501));
});

it('a token can be revoked, also after a change of the highest version, which no broker makes', () => {
  const list = createSharedList();
  list.merge([restored('a', Number.MAX_SAFE_INTEGER)]);
  const change = list.next('a', true, 100);
  expect(isSharedChange(change), 'others take it, and so does this one from its file').toBe(true);
  expect(list.merge([change]).taken).toHaveLength(1);
  expect(list.isRevoked('a')).toBe(true);
  expect(parseSharedList(list.text())).toEqual([change]);
});

it('brokers agree in the end, in whatever order they hear of changes', () => {
  const change = fc.record({
    tokenId: fc.constantFrom('a', 'b', 'c'),
    version: fc.integer({ min: 1, max: 4 }),
    isRevoked: fc.boolean(),
  });
  const inOrder = (changes: readonly SharedChange[]) => {
    const list = createSharedList();
    for (const one of changes) list.merge([one]);
    return [...list.revoked()].sort();
  };
  fc.assert(
    fc.property(
      fc
        .array(change, { maxLength: 12 })
        .chain(all => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
      ([all, other]) => {
        expect(inOrder(all)).toEqual(inOrder(other));
      },
    ),
  );
});

it('returns what came after a number, each token once, up to a limit', () => {
  const list = createSharedList();
  list.merge([revoked('a', 1), revoked('b', 1), revoked('c', 1)]);
  list.merge([restored('a', 2)]);
  const first = list.since(0, 2);
  expect(first.changes).toEqual([revoked('b', 1), revoked('c', 1)]);
  const second = list.since(first.seen, 2);
  expect(second.changes).toEqual([restored('a', 2)]);
  expect(list.since(second.seen, 2)).toEqual({ changes: [], seen: second.seen });
});

it('is bounded: what is revoked is kept, the oldest that was taken back is forgotten', () => {
  const list = createSharedList({ maxRevoked: 2, maxRestored: 1 });
  expect(list.merge([revoked('a', 1), revoked('b', 1), revoked('c', 1)])).toMatchObject({ left: 1 });
  expect([...list.revoked()]).toEqual(['a', 'b']);
  list.merge([restored('a', 2), restored('b', 2)]);
  expect(list.since(0, 9).changes).toEqual([restored('b', 2)]);
  expect(list.merge([revoked('c', 1), revoked('d', 1)]).left).toBe(0);
});

it('is the same when read from its file; an invalid line is refused', () => {
  const list = createSharedList();
  list.merge([revoked('a', 1), restored('b!', 7)]);
  expect(parseSharedList(list.text())).toEqual([revoked('a', 1), restored('b!', 7)]);
  for (const text of ['1 revoked', '0 revoked a', 'x revoked a', '1 gone a', '1 revoked a b', '1 revoked #'])
    expect(() => parseSharedList(`# ok\n${text}\n`)).toThrow('line 2: expected');
  expect(isSharedChange(revoked('a b', 1))).toBe(false);
  expect(isSharedChange(revoked('a', 2 ** 60))).toBe(false);
});
