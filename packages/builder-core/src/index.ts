export { BuildFailure, meansNoSpace, type Stage } from './build-failure.ts';
export {
  type BuildRequest,
  type DockerfileConfig,
  type ReadOptions,
  readBuildRequest,
  type StackRequest,
  type StaticConfig,
} from './build-request.ts';
export { BuildCancelled, type BuiltImage, buildImage, type PipelineOptions } from './pipeline.ts';
export type { Progress } from './progress.ts';
export { RequestError } from './request-error.ts';
export { forgetSecretsIn } from './request-secrets.ts';
export { makeScratch, removeScratch, type Scratch } from './scratch.ts';
export { type BuildableStack, buildableStacks, isBuildableStack } from './stack-name.ts';
