export {
  type StagedFile,
  stageFile,
  sweepStaged,
  syncFolder,
  writeFileAtomically,
} from './atomic-write.ts';
export { type Backoff, createBackoff } from './backoff.ts';
export { BadValue } from './bad-value.ts';
export { ChildError, type ChildOptions, type ChildResult, runChild } from './child.ts';
export {
  type Command,
  type ConfigOf,
  type Described,
  defineCommand,
  type OptionRow,
  type Options,
  optionRows,
  parseConfig,
} from './config.ts';
export { parseEnvironmentFile, readEnvironmentFile } from './environment-file.ts';
export { acquireFileLock, type FileLock } from './file-lock.ts';
export { type FollowOptions, followFiles, type Hangups } from './follow-files.ts';
export { explainUnreachable, getJson, type JsonSource, UnreachableError } from './get-json.ts';
export { createHttpEdge, type HttpEdge, type HttpEdgeOptions } from './http-edge.ts';
export { imageReferenceExpected, isImageReference } from './image-reference.ts';
export { type LogFilter, logFilter } from './log-filter.ts';
export { createLogger, type Logger } from './logger.ts';
export { type Daemon, type Invocation, runCommand, runDaemon } from './program.ts';
export { createReadiness, type Readiness } from './readiness.ts';
export { type RememberedLine, rememberLines } from './remember-lines.ts';
export { formatAge, type Screen, type ScreenRow, screen } from './screen.ts';
export { readSecretFile, SecretError } from './secret.ts';
export {
  type PlacedSocket,
  placeSocket,
  SocketError,
  type SocketGroup,
  type SocketOptions,
} from './socket.ts';
export { createTally, type Tally } from './tally.ts';
export { type Outcome, runTasks, type Task } from './tasks.ts';
export { readTlsPair, type TlsPair } from './tls-pair.ts';
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
} from './values.ts';
