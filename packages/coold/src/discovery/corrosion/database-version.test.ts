import { beforeEach, expect, it } from 'vitest';
import { createVersionWatch, type KnownVersion } from './database-version.ts';

let alarms: number;
const watching = (known?: KnownVersion) =>
  createVersionWatch(known, () => {
    alarms += 1;
  });
beforeEach(() => {
  alarms = 0;
});
const told = (watch: ReturnType<typeof watching>, actorId: string, ...versions: number[]) => {
  for (const version of versions) watch.begin()({ actorId, version });
};

it('a version that grows is a sound database, wherever it begins', () => {
  const watch = watching({ actorId: 'a', version: 7, isPutBack: false });
  told(watch, 'a', 8, 20, 21);
  expect(watch.known()).toEqual({ actorId: 'a', version: 21, isPutBack: false });
  expect(alarms).toBe(0);
});

it.each([
  ['lower', 3],
  ['the same', 7],
])('a version that is %s is a database that was put back, also from an earlier life', (_, version) => {
  const watch = watching({ actorId: 'a', version: 7, isPutBack: false });
  told(watch, 'a', version);
  expect(watch.known()).toEqual({ actorId: 'a', version: 7, isPutBack: true });
  expect(alarms).toBe(1);
});

it('stays reported as restored until it is created anew, and is logged once', () => {
  const watch = watching();
  told(watch, 'a', 7, 3, 4, 8);
  expect(watch.known()).toEqual({ actorId: 'a', version: 8, isPutBack: true });
  expect(alarms).toBe(1);
});

it('a database that was created anew is sound', () => {
  const watch = watching({ actorId: 'a', version: 7, isPutBack: true });
  told(watch, 'b', 1, 2);
  expect(watch.known()).toEqual({ actorId: 'b', version: 2, isPutBack: false });
  told(watch, 'b', 1);
  expect(watch.known()).toMatchObject({ isPutBack: true });
});

it('answers that overtake each other say nothing', () => {
  const watch = watching({ actorId: 'a', version: 7, isPutBack: false });
  const first = watch.begin();
  const second = watch.begin();
  second({ actorId: 'a', version: 9 });
  first({ actorId: 'a', version: 8 });
  expect(watch.known()).toEqual({ actorId: 'a', version: 9, isPutBack: false });
  expect(alarms).toBe(0);
});
