import { describe, expect, it } from 'vitest';
import { pause, untilAborted } from './pause.ts';

describe('pause', () => {
  it('waits for its time', async () => {
    const begun = performance.now();
    await pause(30, new AbortController().signal);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(28);
  });

  it('resolves as soon as the signal aborts', async () => {
    const stop = new AbortController();
    const waiting = pause(3_600_000, stop.signal);
    stop.abort();
    await expect(waiting).resolves.toBeUndefined();
  });

  it('resolves at once when the signal has aborted already', async () => {
    await expect(pause(3_600_000, AbortSignal.abort())).resolves.toBeUndefined();
  });
});

describe('untilAborted', () => {
  it('resolves when the signal aborts, and not before', async () => {
    const stop = new AbortController();
    let isOver = false;
    const waiting = untilAborted(stop.signal).then(() => {
      isOver = true;
    });
    await pause(5);
    expect(isOver).toBe(false);
    stop.abort();
    await waiting;
    expect(isOver).toBe(true);
  });

  it('resolves at once when the signal has aborted already', async () => {
    await expect(untilAborted(AbortSignal.abort())).resolves.toBeUndefined();
  });
});
