import { expect, it } from 'vitest';
import { createTurns } from './turns.ts';

it('runs a limited number at once, in order, and continues after failures', async () => {
  const turns = createTurns(2);
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const all = gates.map((gate, index) =>
    turns(() => {
      begun.push(index);
      return gate.promise;
    }),
  );
  const outcomes = Promise.allSettled(all);
  expect(begun).toEqual([0, 1]);
  gates[1]?.reject(new Error('no'));
  await expect(all[1]).rejects.toThrow('no');
  expect(begun).toEqual([0, 1, 2]);
  for (const [index, gate] of gates.entries()) gate.resolve(index);
  expect((await outcomes).map(({ status }) => status === 'fulfilled')).toEqual([
    ...[true, false, true, true, true],
  ]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});
