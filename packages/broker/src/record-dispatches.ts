import type { Logger } from '@coold/runtime';
import { budgetLines } from './line-budget.ts';
import type { Metrics } from './metrics.ts';

/** How a dispatch came out, from a closed set: metrics count by it. */
export type DispatchOutcome =
  | 'ok'
  | 'host error'
  | 'bad answer'
  | 'timeout'
  | 'disconnected'
  | 'stopping'
  | 'caller left'
  | 'not connected'
  | 'schema'
  | 'in flight'
  | 'full'
  | 'unread'
  | 'peer failed'
  | 'peer refused'
  | 'invalid';

/** One dispatch that has come to its end. What it asked for is not part of it: bodies hold secrets. */
export interface DispatchRecord {
  /** Empty where the request named none that can be used. */
  requestId: string;
  hostId: string;
  /** `none` where the request named none that there is. */
  verb: string;
  outcome: DispatchOutcome;
  /** As in the envelope; 499: the caller left before its answer. */
  code: number;
  durationMs: number;
}

export type RecordDispatch = (dispatch: DispatchRecord) => void;

const linesPerSecond = 50;

/** What each outcome is worth in the log; undefined: nothing, the host did what it was asked. */
const levels: Record<DispatchOutcome, 'debug' | 'info' | 'warn' | undefined> = {
  ok: undefined,
  'host error': 'debug',
  'bad answer': 'warn',
  timeout: 'warn',
  disconnected: 'warn',
  stopping: 'info',
  'caller left': 'info',
  'not connected': 'info',
  schema: 'info',
  'in flight': 'info',
  full: 'warn',
  unread: 'warn',
  'peer failed': 'warn',
  'peer refused': 'warn',
  invalid: 'debug',
};

/** The metrics of all dispatches, and a line in the log for each that went wrong. */
export function recordDispatches(log: Logger, metrics: Pick<Metrics, 'dispatched'>): RecordDispatch {
  const budgeted = budgetLines(log, linesPerSecond);
  return dispatch => {
    const { requestId, hostId, verb, outcome, code, durationMs } = dispatch;
    metrics.dispatched(dispatch);
    const level = levels[outcome];
    if (level === undefined) return;
    const fields = { request_id: requestId, host_id: hostId, verb, outcome, code };
    const line = { ...fields, duration_ms: Math.round(durationMs) };
    // Debug lines are off as a rule, and must not use the budget up.
    if (level === 'debug') log.debug(line, 'dispatch failed');
    else budgeted(level, line, 'dispatch failed');
  };
}
