import type { Logger } from '@coold/runtime';
import { budgetLines } from '../grpc/line-budget.ts';

/** How a dispatch ended. A closed set, because it is a label of metrics. */
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

/** A finished dispatch. The command is not part of it, because bodies hold secrets. */
export interface DispatchRecord {
  /** Empty when the request had no valid id. */
  requestId: string;
  hostId: string;
  /** `none` when the request named no known verb. */
  verb: string;
  outcome: DispatchOutcome;
  /** The code of the envelope; 499 when the caller left before its answer. */
  code: number;
  durationMs: number;
}

export type RecordDispatch = (dispatch: DispatchRecord) => void;

const linesPerSecond = 50;

/** The log level of each outcome; undefined when there is no line, because the host did what was asked. */
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

/** Counts every dispatch, and logs a line for each that failed. */
export function recordDispatches(log: Logger, count: RecordDispatch): RecordDispatch {
  const budgeted = budgetLines(log, linesPerSecond);
  return dispatch => {
    const { requestId, hostId, verb, outcome, code, durationMs } = dispatch;
    count(dispatch);
    const level = levels[outcome];
    if (level === undefined) return;
    const fields = { request_id: requestId, host_id: hostId, verb, outcome, code };
    const line = { ...fields, duration_ms: Math.round(durationMs) };
    // Debug lines are usually off, and must not use up the budget.
    if (level === 'debug') log.debug(line, 'dispatch failed');
    else budgeted(level, line, 'dispatch failed');
  };
}
