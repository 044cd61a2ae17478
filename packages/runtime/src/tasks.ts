/** Runs until its signal aborts; returning or throwing before that is a failure of the whole program. */
export type Task = (signal: AbortSignal) => Promise<void>;

export type Outcome =
  | { kind: 'stopped' }
  /** A task ended by itself; `cause` is undefined when it merely returned. */
  | { kind: 'failed'; task: string; cause: unknown }
  /** Asked to stop, these tasks had not ended when the time was up. */
  | { kind: 'stuck'; tasks: string[] };

/**
 * Runs tasks side by side until `stop` aborts or the first of them ends; the others are then told to stop and given
 * `graceMs`. No worker is ever lost silently: its end is the program's.
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
    if (!all.signal.aborted)
      await new Promise(resolve => all.signal.addEventListener('abort', resolve, { once: true }));
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
