export {
  type Check,
  type CheckLine,
  checksExitCode,
  checksObject,
  type Finding,
  fail,
  type Level,
  ok,
  renderChecks,
  runChecks,
  warn,
} from './checks/checks.ts';
export { judgeLife, type LifeLook, lookAtLife } from './checks/judge-life.ts';
export { judgeSettings } from './checks/judge-settings.ts';
export { keepVerdict, type Problem, type Verdict, type VerdictOptions } from './checks/keep-verdict.ts';
export {
  authorityLife,
  certificateLife,
  endsSoon,
  type Life,
  tokenClaims,
  tokenLife,
} from './checks/life.ts';
export { formatAge, type Screen, type ScreenRow, screen } from './checks/screen.ts';
export { BadValue } from './config/bad-value.ts';
export {
  type Command,
  type ConfigOf,
  type Described,
  defineCommand,
  type OptionRow,
  type Options,
  optionRows,
  parseConfig,
} from './config/config.ts';
export { parseEnvironmentFile, readEnvironmentFile } from './config/environment-file.ts';
export { readSettings, type Settings } from './config/read-settings.ts';
export {
  type Address,
  absolutePath,
  bindAddress,
  boolean,
  duration,
  integer,
  ipv4,
  list,
  oneAddress,
  text,
  type ValueType,
} from './config/values.ts';
export { isLoopback, type KeepMetricsOptions, keepMetrics } from './daemon/keep-metrics.ts';
export { type Daemon, type Invocation, runCommand, runDaemon } from './daemon/program.ts';
export { createReadiness, type Readiness } from './daemon/readiness.ts';
export { type Outcome, runTasks, type Task } from './daemon/tasks.ts';
export {
  createUnserved,
  type Unserved,
  type UnservedAddress,
  unservedProblem,
  unservedYet,
} from './daemon/unserved.ts';
export {
  type StagedFile,
  stageFile,
  sweepStaged,
  syncFolder,
  writeFileAtomically,
} from './files/atomic-write.ts';
export { type Disk, judgeDisk, readDisks } from './files/disks.ts';
export { acquireFileLock, type FileLock } from './files/file-lock.ts';
export { type FollowOptions, followFiles, type Hangups } from './files/follow-files.ts';
export { readSecretFile, SecretError } from './files/secret.ts';
export { readTlsPair, type TlsPair } from './files/tls-pair.ts';
export {
  createUnreadFiles,
  type UnreadFiles,
  type UnreadFilesList,
  unreadProblem,
} from './files/unread-files.ts';
export {
  explainUnreachable,
  getAnswer,
  getJson,
  type JsonSource,
  UnreachableError,
} from './http/get-json.ts';
export { createHttpEdge, type HttpEdge, type HttpEdgeOptions } from './http/http-edge.ts';
export {
  type PlacedSocket,
  placeSocket,
  SocketError,
  type SocketGroup,
  type SocketOptions,
} from './http/socket.ts';
export { imageReferenceExpected, isImageReference } from './image-reference.ts';
export { lastJournalLines } from './logs/journal-lines.ts';
export { type LogFilter, logFilter } from './logs/log-filter.ts';
export type { Logger } from './logs/logger.ts';
export { type RememberedLine, rememberLines } from './logs/remember-lines.ts';
export { createRepeatedWarning, type RepeatedWarning } from './logs/repeated-warning.ts';
export { createSampledWarn, type SampledWarn } from './logs/sampled-warn.ts';
export { ChildError, type ChildOptions, type ChildResult, runChild } from './processes/child.ts';
export { describeHolder, findPortHolders, type PortHolder } from './processes/port-holders.ts';
export { readRegularFile } from './regular-file.ts';
export { errorMessage, isObject, parseJson } from './unknown-values.ts';
export { UnusableError } from './unusable.ts';
export { type Backoff, createBackoff } from './waits/backoff.ts';
export { type ChangeSignal, createChangeSignal } from './waits/change-signal.ts';
export { orAborted } from './waits/or-aborted.ts';
export { pause, untilAborted } from './waits/pause.ts';
