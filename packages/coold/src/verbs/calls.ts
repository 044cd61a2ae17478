import type { Logger } from '@coold/runtime';
import type { Metrics } from '../transport/metrics.ts';

/** nginx's status for a caller that left before its answer. It is only logged. */
export const callerLeft = 499;

/** A finished call of a verb. The request is not part of it, because bodies hold secrets. */
export interface Call {
  requestId: string;
  verb: string;
  transport: 'rest' | 'stream';
  /** An HTTP status, or `callerLeft`. */
  status: number;
  durationMs: number;
}

export type RecordCall = (call: Call) => void;

/** Records calls of both transports in the ops log and in metrics. */
export function recordCalls(log: Logger, metrics: Pick<Metrics, 'count'>): RecordCall {
  return call => {
    const { requestId, verb, transport, status, durationMs } = call;
    metrics.count(call);
    log.info({ request_id: requestId, verb, transport, status, duration_ms: Math.round(durationMs) }, 'verb');
  };
}
