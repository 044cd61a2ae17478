export { buildReason, readBuildReason } from './build-reason.ts';
export {
  codeOf,
  generalReason,
  type KnownReason,
  type Reason,
  readReason,
  reasonNumber,
  reasons,
} from './reason.ts';
export {
  brokerFull,
  brokerStopping,
  dispatchTimeout,
  type Failure,
  failure,
  hostDisconnected,
  hostNotConnected,
  hostNotReading,
  type Refusal,
  requestIdInFlight,
  requestIdUnknown,
} from './refusal.ts';
export { asVerbError, type FaultLog, VerbError } from './verb-error.ts';
