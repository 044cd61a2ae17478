import { untilAborted } from '../waits/pause.ts';

/** Runs until its signal aborts. Returning or throwing before that is a failure of the whole program. */
export type Task = (signal: AbortSignal) => Promise<void>;

export type Outcome =
  | { kind: 'stopped' }
  /** A task ended by itself. `cause` is undefined when the task returned. */
  | { kind: 'failed'; task: string; cause: unknown }
  /** These tasks did not end in time after they were told to stop. */
  | { kind: 'stuck'; tasks: string[] };

/**
 * Runs tasks concurrently until `stop` aborts or one of them ends. The others are then told to stop, and get `graceMs` (in ms)
 * for that. So no task ends unnoticed: the end of one is the end of the program. Never rejects.
 */
export async function runTasks(
  tasks: Record<string, Task>,
  options: { stop: AbortSignal; graceMs: number },
): Promise<Outcome> {
  const all = new AbortController();
  const running = new Set<string>();
  let failure: Outcome | undefined;
  const ended = Object.entries(tasks).map(async ([name, task]) => {
    running.add(name);
    let cause: unknown;
    try {
      // Started from a microtask, so that a task that throws at once fails like any other.
      await Promise.resolve(all.signal).then(task);
    } catch (error) {
      cause = error;
    }
    running.delete(name);
    if (!all.signal.aborted) failure ??= { kind: 'failed', task: name, cause };
    all.abort();
  });
  const stop = () => all.abort();
  if (options.stop.aborted) stop();
  options.stop.addEventListener('abort', stop, { once: true });
  try {
    const everything = Promise.all(ended);
    await untilAborted(all.signal);
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<'late'>(resolve => {
      timer = setTimeout(() => resolve('late'), options.graceMs);
    });
    const late = (await Promise.race([everything, grace])) === 'late';
    clearTimeout(timer);
    if (failure !== undefined) return failure;
    return late ? { kind: 'stuck', tasks: [...running] } : { kind: 'stopped' };
  } finally {
    options.stop.removeEventListener('abort', stop);
  }
}
