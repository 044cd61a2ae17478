export { type Cable, layCable } from './cable.ts';
export { createPairing, type Pairing, type PairingOptions } from './pair.ts';
export { type PodmanService, startPodman } from './podman-service.ts';
export { freePort } from './port.ts';
export { type LogLine, type Program, type ProgramOptions, startProgram, startScript } from './program.ts';
export { type Registry, type RegistryOptions, startRegistry } from './registry.ts';
export { scratchFolder } from './scratch.ts';
export { connectStubHost, type StubHost, type StubHostOptions } from './stub-host.ts';
export { type HttpAnswer, type HttpRequest, type UnixHttp, unixHttp } from './unix-http.ts';
