import { FirewallError } from './firewall-error.ts';

/** Something to be done, with those who wait for it. */
export interface Job {
  /** Jobs of one group that wait next to each other are done together; undefined: always alone. */
  group: string | undefined;
  /** How many rules it names. */
  size: number;
  fail(error: unknown): void;
}

/** One thing at a time, in order, with bounds. */
export interface SerialQueue<J extends Job> {
  /** @throws FirewallError 503 when too much waits already, or it is closed */
  push(job: J): void;
  /** Does what comes, until `stop`; what still waits then fails. `work` never rejects. */
  run(work: (jobs: readonly J[]) => Promise<void>, stop: AbortSignal): Promise<void>;
}

const maxJobs = 2048;
const maxRules = 200_000;
const maxTogether = 512;

export function createSerialQueue<J extends Job>(): SerialQueue<J> {
  const waiting: J[] = [];
  let rules = 0;
  let closed = false;
  let wake = () => {};

  /** The next job, with those behind it that go with it. */
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

  return {
    push(job) {
      if (closed) throw new FirewallError(503, 'coold is stopping');
      if (waiting.length >= maxJobs || rules + job.size > maxRules)
        throw new FirewallError(503, 'too many changes of the firewall are waiting');
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
        // A burst that is being read from its connections right now goes together.
        await new Promise(resolve => setImmediate(resolve));
        const jobs = stop.aborted ? [] : take();
        if (jobs.length > 0) await work(jobs);
      }
      closed = true;
      stop.removeEventListener('abort', onStop);
      for (const job of waiting.splice(0)) job.fail(new FirewallError(503, 'coold is stopping'));
    },
  };
}
