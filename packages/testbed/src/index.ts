export { type Authority, createAuthority, type Issued } from './authority.ts';
export { type Cable, layCable } from './cable.ts';
export { type Dnsmasq, startDnsmasq } from './dnsmasq.ts';
export { type GitDaemon, type GitDaemonOptions, startGitDaemon } from './git-daemon.ts';
export { type GitHttps, type GitHttpsOptions, startGitHttps } from './git-https.ts';
export { createRepository, type GitRepository } from './git-repository.ts';
export { createPairing, type Pairing, type PairingOptions } from './pair.ts';
export { type PodmanService, startPodman } from './podman-service.ts';
export { freePort } from './port.ts';
export {
  type LogLine,
  type Program,
  type ProgramOptions,
  programs,
  startProgram,
  startScript,
} from './program.ts';
export { type Registry, type RegistryOptions, startRegistry } from './registry.ts';
export { scratchFolder } from './scratch.ts';
export { type StreamedCall, streamedCall } from './streamed-call.ts';
export { builtOk, createStubBuilder, type StubBuilder, type StubBuilderOptions } from './stub-builder.ts';
export { connectStubHost, type StubHost, type StubHostOptions } from './stub-host.ts';
export { playStreams, type StubStream } from './stub-stream.ts';
export { type HttpAnswer, type HttpRequest, type UnixHttp, unixHttp } from './unix-http.ts';
