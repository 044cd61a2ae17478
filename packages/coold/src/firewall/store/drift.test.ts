import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findDrift } from './drift.ts';

const none = { kernelOnly: [], modelOnly: [], planesDiffer: [], snapshotDiffers: [] };

test('each way of parting is named', () => {
  const model = new Set(['a', 'b', 'c']);
  expect(findDrift(model, model, model, model)).toEqual(none);
  expect(findDrift(model, model, undefined, model)).toEqual(none);
  expect(
    findDrift(model, new Set(['a', 'b', 'x']), new Set(['a', 'c', 'x', 'y']), new Set(['a', 'b', 'z'])),
  ).toEqual({
    kernelOnly: ['x', 'y'],
    modelOnly: ['b', 'c'],
    planesDiffer: ['b', 'c', 'y'],
    snapshotDiffers: ['c', 'z'],
  });
});

test('there is none exactly when all four are the same', () => {
  const some = fc.uniqueArray(fc.constantFrom('a', 'b', 'c')).map(ids => new Set(ids.sort()));
  fc.assert(
    fc.property(some, some, some, some, (model, iptables, nft, snapshots) => {
      const same = [iptables, nft, snapshots].every(other => String([...other]) === String([...model]));
      expect(Object.values(findDrift(model, iptables, nft, snapshots)).every(ids => ids.length === 0)).toBe(
        same,
      );
    }),
  );
});
