import { expect, test, vi } from 'vitest';
import { isNextOrSame, isSameMoment, type Moment } from '../netlink/kernel-view.ts';
import { Remembered } from './remembered.ts';

const at = (generation: number, beside = ''): Moment => ({ generation, beside });

test('what was read is not read again while nothing has changed', async () => {
  let now: Moment | undefined = at(1);
  const remembered = new Remembered<number>({ moment: () => Promise.resolve(now) });
  let reads = 0;
  const get = (about = '') => remembered.get(about, () => Promise.resolve(++reads));
  expect([await get(), await get()]).toEqual([1, 1]);
  now = at(2);
  expect([await get(), await get()]).toEqual([2, 2]);
  now = at(2, 'another program');
  expect([await get(), await get()]).toEqual([3, 3]);
  expect([await get('of another chain'), await get()]).toEqual([4, 5]);
});

test('is read each time when changes cannot be detected', async () => {
  const remembered = new Remembered<number>({ moment: () => Promise.resolve(undefined) });
  let reads = 0;
  const get = () => remembered.get('', () => Promise.resolve(++reads));
  expect([await get(), await get()]).toEqual([1, 2]);
});

test('what changes while it is read is read again', async () => {
  let now = at(1);
  const remembered = new Remembered<number>({ moment: () => Promise.resolve(now) });
  let reads = 0;
  const read = () => {
    now = at(now.generation + (reads === 0 ? 1 : 0));
    return Promise.resolve(++reads);
  };
  expect(await remembered.get('', read)).toBe(1);
  expect(await remembered.get('', read)).toBe(2);
  expect(await remembered.get('', read)).toBe(2);
});

test('what a read itself changed is read again, also where another program has put everything back as it was', async () => {
  let now = at(1, 'a rule above the hooks');
  const remembered = new Remembered<number>({ moment: () => Promise.resolve(now) });
  let reads = 0;
  const lift = () => {
    now = at(1, 'the hooks on top');
    return Promise.resolve(++reads);
  };
  expect(await remembered.get('', lift)).toBe(1);
  now = at(1, 'a rule above the hooks');
  expect(await remembered.get('', lift)).toBe(2);
});

test('of a reading that failed nothing is remembered', async () => {
  const remembered = new Remembered<number>({ moment: () => Promise.resolve(at(1)) });
  await remembered.get('', () => Promise.resolve(1));
  await expect(remembered.get('other', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await remembered.get('', () => Promise.resolve(2))).toBe(2);
});

test('after a minute it is read again in any case', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const remembered = new Remembered<number>({ moment: () => Promise.resolve(at(1)) });
    let reads = 0;
    const get = () => remembered.get('', () => Promise.resolve(++reads));
    await get();
    vi.advanceTimersByTime(59_000);
    expect(await get()).toBe(1);
    vi.advanceTimersByTime(2000);
    expect(await get()).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test('moments are equal, or one transaction apart, also when generations begin anew', () => {
  expect(isSameMoment(at(1), at(1))).toBe(true);
  expect(isSameMoment(undefined, undefined)).toBe(false);
  expect(isSameMoment(at(1), at(1, 'x'))).toBe(false);
  expect(isNextOrSame(at(1), at(2))).toBe(true);
  expect(isNextOrSame(at(1), at(1))).toBe(true);
  expect(isNextOrSame(at(1), at(3))).toBe(false);
  expect(isNextOrSame(at(2 ** 32 - 1), at(1))).toBe(true);
});
