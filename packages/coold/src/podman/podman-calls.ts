import { Gauge, Histogram, type Registry } from 'prom-client';

/**
 * The result of a call to Podman. `refused`: Podman refused, for example because a name does not exist. `failed`: it
 * could not be asked, did not answer in time, or failed.
 */
export type CallOutcome = 'ok' | 'refused' | 'failed';

export interface PodmanCall {
  /** The path below the API's root. */
  path: string;
  outcome: CallOutcome;
  durationMs: number;
}

/** Counts the results and durations of calls to Podman. */
export interface PodmanCalls {
  /** Records one call. */
  note(call: PodmanCall): void;
  /** Registers the metrics of the recorded calls. */
  watch(registry: Registry): void;
}

/** The buckets in seconds: from one inspect to the 8 s of an ordinary call, and beyond for slow operations. */
const buckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8.5, 20, 60, 300];

/**
 * The lists that coold requests all the time. A Podman that fails one of them is broken although it answers others: one
 * container that it fails on (a nil pointer) is enough.
 */
const lists: ReadonlySet<string> = new Set(['/containers/json', '/networks/json', '/info']);

export function createPodmanCalls(): PodmanCalls {
  const failing = new Set<string>();
  const own: Registry[] = [];
  const duration = new Histogram({
    name: 'coold_podman_request_duration_seconds',
    help: 'How long Podman took to answer, by outcome',
    labelNames: ['outcome'],
    buckets,
    registers: own,
  });
  const up = new Gauge({
    name: 'coold_podman_up',
    help: '1: Podman answered the last call and every list that coold requests; 0: it could not be reached, did not answer in time, or failed',
    registers: own,
  });
  return {
    note({ path, outcome, durationMs }) {
      duration.observe({ outcome }, durationMs / 1000);
      const isFailed = outcome === 'failed';
      if (isFailed && lists.has(path)) failing.add(path);
      else failing.delete(path);
      up.set(isFailed || failing.size > 0 ? 0 : 1);
    },
    watch(registry) {
      registry.registerMetric(duration);
      registry.registerMetric(up);
    },
  };
}
