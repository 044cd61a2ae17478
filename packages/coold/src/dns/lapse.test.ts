import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLapse } from './lapse.ts';

describe('a lapse', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('comes for each that waits so long, and for none that has ended', () => {
    const lapsed: string[] = [];
    const lapse = createLapse(1000);
    const begin = (name: string) => lapse.begin(() => void lapsed.push(name));
    const ended = begin('ended');
    begin('first');
    vi.advanceTimersByTime(600);
    begin('second');
    lapse.end(ended);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(399);
    expect(lapsed).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(lapsed).toEqual(['first']);
    vi.advanceTimersByTime(599);
    expect(lapsed).toEqual(['first']);
    vi.advanceTimersByTime(1);
    expect(lapsed).toEqual(['first', 'second']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('may begin the next, which waits as long', () => {
    let count = 0;
    const lapse = createLapse(10);
    const again = () => {
      count += 1;
      if (count < 5) lapse.begin(again);
    };
    lapse.begin(again);
    vi.advanceTimersByTime(40);
    expect(count).toBe(4);
    vi.advanceTimersByTime(10);
    expect(count).toBe(5);
  });
});
