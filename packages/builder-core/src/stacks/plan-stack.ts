import { BuildFailure } from '../build-failure.ts';
import type { StackRequest } from '../request/build-request.ts';
import { planDockerfile } from './dockerfile.ts';
import type { BuildPlan } from './stack.ts';
import { planStatic } from './static.ts';

/** Plans the build of a checkout by the stack of the request. @throws BuildFailure for a checkout that the stack cannot build */
export function planStack(checkout: string, stack: StackRequest): Promise<BuildPlan> {
  switch (stack.name) {
    case 'static':
      return planStatic(checkout, stack.config);
    case 'dockerfile':
      return planDockerfile(checkout, stack.config);
    case 'buildpacks':
    case 'railpack':
      return Promise.reject(unsupported(stack.name));
  }
}

/** Checks that this builder has the stack, before anything is fetched. @throws BuildFailure 501 */
export function checkSupported(stack: StackRequest): void {
  if (stack.name === 'buildpacks' || stack.name === 'railpack') throw unsupported(stack.name);
}

function unsupported(name: string): BuildFailure {
  return new BuildFailure(
    501,
    'stack',
    `stack: this builder does not build ${name} yet: use static or dockerfile`,
  );
}
