import type { Logger } from '@coold/runtime';
import type { Metrics } from './metrics.ts';

/** nginx's status for a caller that left before its answer; it is only ever logged. */
export const callerLeft = 499;

/** One call of a verb that has come to its end. What it asked for is not part of it: bodies hold secrets. */
export interface Call {
  requestId: string;
  verb: string;
  transport: 'rest' | 'stream';
  /** HTTP-shaped, or `callerLeft`. */
  status: number;
  durationMs: number;
}

export type RecordCall = (call: Call) => void;

/** The ops log and the metrics of both transports. */
export function recordCalls(log: Logger, metrics: Pick<Metrics, 'count'>): RecordCall {
  return call => {
    const { requestId, verb, transport, status, durationMs } = call;
    metrics.count(call);
    log.info({ request_id: requestId, verb, transport, status, duration_ms: Math.round(durationMs) }, 'verb');
  };
}
