export { BuildFailure, meansNoSpace, type Stage } from './build-failure.ts';
export { readByteSize, readFileCount } from './disk/byte-size.ts';
export {
  BuildCancelled,
  type BuiltImage,
  buildImage,
  type DiskLimits,
  type PipelineOptions,
} from './pipeline.ts';
export type { Progress } from './progress.ts';
export {
  type BuildRequest,
  type DockerfileConfig,
  type ReadOptions,
  readBuildRequest,
  type StackRequest,
  type StaticConfig,
} from './request/build-request.ts';
export { RequestError } from './request/request-error.ts';
export { forgetSecretsIn } from './request/request-secrets.ts';
export { type BuildableStack, buildableStacks, isBuildableStack } from './request/stack-name.ts';
export { makeScratch, removeScratch, type Scratch } from './scratch.ts';
