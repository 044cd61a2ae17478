import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { FirewallError } from '../firewall-error.ts';

/** Work to be done, with the callers that wait for it. */
export interface Job {
  /** Adjacent jobs of one group are done together; a job without a group is done alone. */
  group: string | undefined;
  /** How many rules it names. */
  size: number;
  fail(error: unknown): void;
}

/** Does one job at a time, in order. The queue is bounded. */
export interface SerialQueue<J extends Job> {
  /** @throws FirewallError 503 when the queue is full or closed */
  push(job: J): void;
  /** Does jobs until `stop`, and then fails those that still wait. `work` never rejects. */
  run(work: (jobs: readonly J[]) => Promise<void>, stop: AbortSignal): Promise<void>;
}

const maxJobs = 2048;
const maxRules = 200_000;
const maxTogether = 512;

/** A burst is over when nothing came for this long, in ms. This is little compared with one change. */
const quietMs = 1;
/** Jobs that come without a pause are done in batches, each started after this many ms: about what one change takes. */
const gatherMs = 30;

export function createSerialQueue<J extends Job>(): SerialQueue<J> {
  const waiting: J[] = [];
  let rules = 0;
  let closed = false;
  let wake = () => {};

  /** Removes and returns the next job and the jobs after it that are done with it. */
  function take(): J[] {
    const [first] = waiting;
    if (first === undefined) return [];
    const other = waiting.findIndex(
      ({ group }, index) =>
        index > 0 && (group === undefined || group !== first.group || index === maxTogether),
    );
    const taken = waiting.splice(0, other === -1 ? waiting.length : other);
    rules -= taken.reduce((sum, { size }) => sum + size, 0);
    return taken;
  }

  /** A burst that is just being read from its connections is done together. */
  async function gather(): Promise<void> {
    await nextTurn();
    if (waiting[0]?.group === undefined) return;
    const latest = performance.now() + gatherMs;
    let before = 0;
    while (before < waiting.length && waiting.length < maxTogether && performance.now() < latest) {
      before = waiting.length;
      await delay(quietMs);
    }
  }

  return {
    push(job) {
      if (closed) throw new FirewallError('host_stopping', 'coold is stopping');
      if (waiting.length >= maxJobs || rules + job.size > maxRules)
        throw new FirewallError('host_busy', 'too many changes of the firewall are waiting');
      waiting.push(job);
      rules += job.size;
      wake();
    },
    async run(work, stop) {
      const onStop = () => wake();
      stop.addEventListener('abort', onStop, { once: true });
      while (!stop.aborted) {
        if (waiting.length === 0)
          await new Promise<void>(resolve => {
            wake = resolve;
            if (stop.aborted) resolve();
          });
        await gather();
        const jobs = stop.aborted ? [] : take();
        if (jobs.length > 0) await work(jobs);
      }
      closed = true;
      stop.removeEventListener('abort', onStop);
      for (const job of waiting.splice(0)) job.fail(new FirewallError('host_stopping', 'coold is stopping'));
    },
  };
}
