import { describe, expect, it } from 'vitest';
import { runTasks, type Task } from './tasks.ts';

/** Ends when told to. */
const obedient: Task = signal =>
  new Promise(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

const forever: Task = () => new Promise(() => {});

const never = new AbortController().signal;

function run(tasks: Record<string, Task>, { stop = never, graceMs = 5000 } = {}) {
  return runTasks(tasks, { stop, graceMs });
}

describe('asked to stop', () => {
  it('is stopped once every task has ended', async () => {
    const stop = new AbortController();
    const ended: string[] = [];
    const task =
      (name: string): Task =>
      async signal => {
        if (name === 'last') stop.abort();
        await obedient(signal);
        ended.push(name);
      };
    expect(await run({ first: task('first'), last: task('last') }, { stop: stop.signal })).toEqual({
      kind: 'stopped',
    });
    expect(ended.sort()).toEqual(['first', 'last']);
  });

  it('before it started, hands the tasks a signal that is aborted already', async () => {
    const seen: boolean[] = [];
    const task: Task = signal => {
      seen.push(signal.aborted);
      return obedient(signal);
    };
    expect(await run({ task }, { stop: AbortSignal.abort() })).toEqual({ kind: 'stopped' });
    expect(seen).toEqual([true]);
  });

  it('names the tasks that did not end in time, and only them', async () => {
    const stop = new AbortController();
    const outcome = run({ obedient, slow: forever, slower: forever }, { stop: stop.signal, graceMs: 20 });
    stop.abort();
    expect(await outcome).toEqual({ kind: 'stuck', tasks: ['slow', 'slower'] });
  });

  it('does not wait for the whole grace when all have ended', async () => {
    const stop = new AbortController();
    const outcome = run({ obedient }, { stop: stop.signal, graceMs: 3_600_000 });
    stop.abort();
    expect(await outcome).toEqual({ kind: 'stopped' });
  });

  it('is stopped with no tasks at all', async () => {
    expect(await run({}, { stop: AbortSignal.abort() })).toEqual({ kind: 'stopped' });
  });
});

describe('a task that ends without being asked', () => {
  it('is a failure with its name and its cause, and stops the others', async () => {
    const cause = new Error('lost the socket');
    let told = false;
    const other: Task = async signal => {
      await obedient(signal);
      told = true;
    };
    const outcome = await run({ other, broken: () => Promise.reject(cause) });
    expect(outcome).toEqual({ kind: 'failed', task: 'broken', cause });
    expect(told).toBe(true);
  });

  it('is a failure without a cause when it merely returned', async () => {
    expect(await run({ obedient, early: () => Promise.resolve() })).toEqual({
      kind: 'failed',
      task: 'early',
      cause: undefined,
    });
  });

  it('fails like any other when it throws before it returns a promise', async () => {
    const cause = new Error('at once');
    let told = false;
    const other: Task = async signal => {
      await obedient(signal);
      told = true;
    };
    const broken: Task = () => {
      throw cause;
    };
    expect(await run({ broken, other })).toEqual({ kind: 'failed', task: 'broken', cause });
    expect(told).toBe(true);
  });

  it('is the one that is named, not those that fail in its wake', async () => {
    const cause = new Error('first');
    const follower: Task = async signal => {
      await obedient(signal);
      throw new Error('second');
    };
    expect(await run({ follower, broken: () => Promise.reject(cause) })).toEqual({
      kind: 'failed',
      task: 'broken',
      cause,
    });
  });

  it('is named even when another then does not stop', async () => {
    const cause = new Error('first');
    expect(await run({ slow: forever, broken: () => Promise.reject(cause) }, { graceMs: 20 })).toEqual({
      kind: 'failed',
      task: 'broken',
      cause,
    });
  });
});
