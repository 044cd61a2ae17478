import type { Containerfile } from '../containerfile/instruction.ts';

/** A build that buildah can execute, as data. */
export interface BuildPlan {
  /** The parsed and checked Containerfile. It is rendered to a file beside the checkout, never inside it. */
  containerfile: Containerfile;
  /** The folder that COPY and ADD read from, as a path without symlinks. */
  context: string;
  /** Patterns of files that the context leaves out, in the notation of .containerignore. */
  ignore: string;
  buildArgs: Record<string, string>;
  target?: string;
  /** Whether the Containerfile may hold RUN steps of the repository. Those need a container. */
  runs: boolean;
}

/** Turns a checkout into a plan. A new stack is one such function and a case in `planStack`. */
export type Stack<C> = (checkout: string, config: C) => Promise<BuildPlan>;
