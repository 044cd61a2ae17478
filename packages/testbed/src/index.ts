export { holdReason } from './callers/held-reason.ts';
export { type StreamedCall, streamedCall } from './callers/streamed-call.ts';
export { type HttpAnswer, type HttpRequest, type UnixHttp, unixHttp } from './callers/unix-http.ts';
export { type Cable, layCable } from './network/cable.ts';
export { type Dnsmasq, startDnsmasq } from './network/dnsmasq.ts';
export { foreignBridge, foreignPermissiveScript, foreignUnitScript } from './network/foreign-scaffold.ts';
export { freePort } from './network/port.ts';
export { findProgram } from './programs/find-program.ts';
export { createPairing, type Pairing, type PairingOptions } from './programs/pair.ts';
export {
  type LogLine,
  type Program,
  type ProgramOptions,
  programs,
  startProgram,
  startScript,
} from './programs/program.ts';
export { scratchFolder } from './programs/scratch.ts';
export { type Authority, createAuthority, type Issued } from './services/authority.ts';
export { corrosionConfig } from './services/corrosion-config.ts';
export { type GitDaemon, type GitDaemonOptions, startGitDaemon } from './services/git-daemon.ts';
export { type GitHttps, type GitHttpsOptions, startGitHttps } from './services/git-https.ts';
export { createRepository, type GitRepository } from './services/git-repository.ts';
export { type PodmanService, startPodman } from './services/podman-service.ts';
export { type Registry, type RegistryOptions, startRegistry } from './services/registry.ts';
export {
  builtOk,
  createStubBuilder,
  type StubBuilder,
  type StubBuilderOptions,
} from './stubs/stub-builder.ts';
export { connectStubHost, type StubHost, type StubHostOptions } from './stubs/stub-host.ts';
export { playStreams, type StubStream } from './stubs/stub-stream.ts';
