import { type BuildableStack, isBuildableStack, RequestError, readBuildRequest } from '@coold/builder-core';
import { VerbError } from '@coold/errors';
import { type BuildRequest, BuildStack } from '@coold/proto';

/** A build in the form of request.json (docs/contract.md §7), checked by the rules of the builder. */
export interface BuildOrder {
  /** The stack, which decides the sandbox. */
  stack: BuildableStack;
  request: Record<string, unknown>;
}

/**
 * Reads a build that the broker sent. A request that is refused here costs neither a folder nor a unit.
 *
 * @throws VerbError 400 naming the field, 501 for a stack that no builder has
 */
export function readBuildOrder(message: BuildRequest): BuildOrder {
  const stack = stackNames[message.stack];
  if (stack === undefined)
    throw new VerbError('invalid_request', 'stack: expected a known stack', { field: 'stack' });
  if (!isBuildableStack(stack))
    throw new VerbError('host_too_old', `the builder has no stack ${stack} yet`, { field: 'stack' });
  if (!/^[A-Za-z0-9_.-]{0,128}$/.test(message.nonce))
    throw new VerbError(
      'invalid_request',
      'nonce: expected at most 128 of letters, digits, "_", "." and "-"',
      { field: 'nonce' },
    );
  const request = {
    repo_url: message.repoUrl,
    git_ref: message.gitRef,
    stack,
    target_image: message.targetImage,
    ...(message.cacheKey === '' ? {} : { cache_key: message.cacheKey }),
    ...configOf(message),
    ...addedTo(message),
  };
  try {
    readBuildRequest(request);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new VerbError('invalid_request', error.message, { field: error.field, cause: error });
  }
  return { stack, request };
}

const stackNames: Record<BuildStack, BuildableStack | 'buildpacks' | 'railpack' | undefined> = {
  [BuildStack.UNSPECIFIED]: undefined,
  [BuildStack.DOCKERFILE]: 'dockerfile',
  [BuildStack.BUILDPACKS]: 'buildpacks',
  [BuildStack.RAILPACK]: 'railpack',
  [BuildStack.STATIC]: 'static',
};

/** Returns the fields that schema 2 added for every stack. */
function addedTo({ push, baseImages }: BuildRequest): Record<string, unknown> {
  const added: Record<string, unknown> = {};
  if (push !== undefined) {
    const { auth } = push;
    added['push'] = auth === undefined ? {} : { auth: { username: auth.username, password: auth.password } };
  }
  if (baseImages.length > 0) added['base_images'] = baseImages;
  return added;
}

/** Returns the configurations of all stacks that the request holds. The builder's reader refuses more than one. */
function configOf({ staticCfg, dockerfileCfg }: BuildRequest): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  if (staticCfg !== undefined)
    config['static_cfg'] = { output_dir: staticCfg.outputDir, base_image: staticCfg.baseImage };
  if (dockerfileCfg !== undefined) {
    const { dockerfile, buildArgs, target } = dockerfileCfg;
    config['dockerfile_cfg'] = { dockerfile, build_args: buildArgs, target };
  }
  return config;
}
