import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDeadlineQueue } from './deadline-queue.ts';

describe('a deadline queue', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('comes for each that waits so long, and for none that has ended', () => {
    const lapsed: string[] = [];
    const deadlines = createDeadlineQueue(1000);
    const begin = (name: string) => deadlines.begin(() => void lapsed.push(name));
    const ended = begin('ended');
    begin('first');
    vi.advanceTimersByTime(600);
    begin('second');
    deadlines.end(ended);
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
    const deadlines = createDeadlineQueue(10);
    const again = () => {
      count += 1;
      if (count < 5) deadlines.begin(again);
    };
    deadlines.begin(again);
    vi.advanceTimersByTime(40);
    expect(count).toBe(4);
    vi.advanceTimersByTime(10);
    expect(count).toBe(5);
  });
});
