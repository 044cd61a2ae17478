import { describe, expect, it } from 'vitest';
import { silent } from '../../test/caller.ts';
import { createStreams } from './streams.ts';

const forever = new AbortController().signal;
/** Work that ends when it is told to, a moment later. */
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => setImmediate(reject, new Error('broken off')), { once: true }),
  );

describe('streams', () => {
  it('are bounded, and each leaves its place', async () => {
    const streams = createStreams(silent, 2);
    const gate = Promise.withResolvers<string>();
    const both = [1, 2].map(() => streams.run(forever, () => gate.promise));
    await expect(streams.run(forever, () => Promise.resolve())).rejects.toMatchObject({ code: 503 });
    gate.resolve('done');
    expect(await Promise.all(both)).toEqual(['done', 'done']);
    expect(await streams.run(forever, () => Promise.resolve('next'))).toBe('next');
  });

  it('end when coold stops, which waits for them', async () => {
    const streams = createStreams(silent);
    const stop = new AbortController();
    const task = streams.task(stop.signal);
    const running = streams.run(forever, untilAborted);
    let ended = false;
    running.catch(() => {
      ended = true;
    });
    stop.abort();
    await task;
    expect(ended).toBe(true);
    await expect(running).rejects.toMatchObject({ code: 503, message: 'coold is stopping' });
    await expect(streams.run(forever, () => Promise.resolve())).rejects.toMatchObject({ code: 503 });
  });

  it('end with their caller', async () => {
    const caller = new AbortController();
    const running = createStreams(silent).run(caller.signal, untilAborted);
    caller.abort();
    await expect(running).rejects.toThrow('broken off');
  });
});
