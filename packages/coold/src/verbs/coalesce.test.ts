import { describe, expect, it } from 'vitest';
import { createCoalescer } from './coalesce.ts';

const forever = new AbortController().signal;

describe('joined work', () => {
  it('runs once for all who ask while it runs, and again afterwards', async () => {
    const coalescer = createCoalescer();
    const gate = Promise.withResolvers<number>();
    let runs = 0;
    const work = () => {
      runs += 1;
      return gate.promise;
    };
    const both = [coalescer.run('stop a', forever, work), coalescer.run('stop a', forever, work)];
    const other = coalescer.run('stop b', forever, () => Promise.resolve(5));
    expect(await other).toBe(5);
    gate.resolve(7);
    expect(await Promise.all(both)).toEqual([7, 7]);
    expect(runs).toBe(1);
    await coalescer.run('stop a', forever, work);
    expect(runs).toBe(2);
  });

  it('fails for all who wait, and is forgotten', async () => {
    const coalescer = createCoalescer();
    const fail = () => Promise.reject(new Error('no'));
    const both = [coalescer.run('k', forever, fail), coalescer.run('k', forever, fail)];
    for (const { status } of await Promise.allSettled(both)) expect(status).toBe('rejected');
    expect(await coalescer.run('k', forever, () => Promise.resolve(1))).toBe(1);
  });

  it('continues when its caller has left, and the next caller gets its outcome', async () => {
    const coalescer = createCoalescer();
    const gate = Promise.withResolvers<string>();
    const gone = new AbortController();
    let ended: AbortSignal | undefined;
    const first = coalescer.run('k', gone.signal, signal => {
      ended = signal;
      return gate.promise;
    });
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 503 });
    expect(ended?.aborted).toBe(false);
    const second = coalescer.run('k', forever, () => Promise.reject(new Error('ran twice')));
    gate.resolve('done');
    expect(await second).toBe('done');
  });

  it('is bounded by its verb where its callers have left', async () => {
    const coalescer = createCoalescer();
    const gate = Promise.withResolvers<string>();
    const two = { maxUnattended: 2 };
    const leave = async (key: string) =>
      expect(coalescer.run(key, AbortSignal.abort(), () => gate.promise, two)).rejects.toMatchObject({
        message: expect.stringContaining('every caller has left') as string,
      });
    await leave('pull a');
    await leave('pull b');
    await expect(coalescer.run('pull c', forever, () => gate.promise, two)).rejects.toMatchObject({
      code: 503,
      message: expect.stringContaining('2 of these') as string,
    });
    const back = coalescer.run('pull a', forever, () => gate.promise, two);
    const next = coalescer.run('pull c', forever, () => gate.promise, two);
    expect(await coalescer.run('stop a', forever, () => Promise.resolve('stopped'), two)).toBe('stopped');
    gate.resolve('done');
    expect(await Promise.all([back, next])).toEqual(['done', 'done']);
    expect(await coalescer.run('pull d', forever, () => gate.promise, two)).toBe('done');
  });

  it('that fails without a caller is not an unhandled rejection', async () => {
    const coalescer = createCoalescer();
    const gate = Promise.withResolvers<never>();
    const gone = AbortSignal.abort();
    await expect(coalescer.run('k', gone, () => gate.promise)).rejects.toMatchObject({ code: 503 });
    gate.reject(new Error('no'));
    await new Promise(resolve => setImmediate(resolve));
  });
});
