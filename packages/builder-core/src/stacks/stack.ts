import type { Containerfile } from '../containerfile/instruction.ts';

/** What buildah has to do, as data. */
export interface BuildPlan {
  /** As it was understood and judged; rendered beside the checkout, never into it. */
  containerfile: Containerfile;
  /** Folder that COPY and ADD see; a real path. */
  context: string;
  /** Text of what the context leaves out, in the notation of .containerignore. */
  ignore: string;
  buildArgs: Record<string, string>;
  target?: string;
  /** Whether the containerfile may hold RUN steps of somebody else, which need a container of their own. */
  runs: boolean;
}

/** Turns a checkout into a plan. A new stack is one of these and a line in `planStack`. */
export type Stack<C> = (checkout: string, config: C) => Promise<BuildPlan>;
