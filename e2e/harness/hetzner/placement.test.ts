import { expect, test } from 'vitest';
import type { ServerType } from './answers.ts';
import { architectureOf, choosePlacements } from './placement.ts';

const type = (
  name: string,
  memory: number,
  prices: Record<string, number>,
  architecture = 'x86',
): ServerType => ({
  name,
  architecture,
  memory,
  offers: Object.entries(prices).map(([location, hourlyPrice]) => ({ location, hourlyPrice })),
});

const types = [
  type('large', 16, { one: 5, two: 6 }),
  type('tiny', 2, { one: 0.5 }),
  type('small', 4, { one: 1, two: 0.9 }),
  type('other', 8, { one: 0.1 }, 'arm'),
  type('gone', 8, {}),
];

test('lists the cheapest sufficient type first, wherever it is', () => {
  const wish = { serverType: undefined, location: undefined, architecture: 'x86' };
  expect(choosePlacements(types, wish)).toEqual([
    { serverType: 'small', location: 'two' },
    { serverType: 'small', location: 'one' },
    { serverType: 'large', location: 'one' },
    { serverType: 'large', location: 'two' },
  ]);
  expect(choosePlacements(types, { ...wish, architecture: 'arm' })).toEqual([
    { serverType: 'other', location: 'one' },
  ]);
});

test('a location narrows the choice, and a given type is not checked', () => {
  const wish = { serverType: undefined, location: 'two', architecture: 'x86' };
  expect(choosePlacements(types, wish).map(({ serverType }) => serverType)).toEqual(['small', 'large']);
  expect(choosePlacements(types, { ...wish, location: 'nowhere' })).toEqual([]);
  expect(choosePlacements([], { ...wish, serverType: 'exotic' })).toEqual([
    { serverType: 'exotic', location: 'two' },
  ]);
});

test(`uses the API's names for architectures`, () => {
  expect([architectureOf('x64'), architectureOf('arm64')]).toEqual(['x86', 'arm']);
});
