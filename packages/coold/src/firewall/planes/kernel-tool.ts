import { ChildError, errorMessage } from '@coold/runtime';
import { runTool } from './iptables.ts';
import type { RunTool } from './nft-plane.ts';

/** A packet filter tool did not do what it was asked to, or could not be run. */
export class KernelError extends Error {
  /** The program that could not be run or timed out. Trying it again would cost the same time again. */
  readonly unavailable: string | undefined;
  /** It timed out, so the change may have happened. */
  readonly wasKilled: boolean;
  constructor(message: string, options: { cause?: unknown; unavailable?: string } = {}) {
    super(message, { cause: options.cause });
    this.wasKilled = options.cause instanceof ChildError && options.cause.reason !== 'spawn';
    this.name = 'KernelError';
    this.unavailable = options.unavailable;
  }
}

const perRuleMs = 3;

/**
 * Creates a runner of the packet filter's tools that throws KernelErrors.
 *
 * @param timeoutMs a tool is killed after this long, plus a little for each rule it is given
 */
export function createTool(timeoutMs: number): (rules?: number) => RunTool {
  return (rules = 0) =>
    async (program, args, input, onLine) => {
      try {
        return await runTool(program, args, input, onLine, timeoutMs + rules * perRuleMs);
      } catch (error) {
        const isUnavailable = error instanceof ChildError;
        throw new KernelError(toolMessage(error), {
          cause: error,
          ...(isUnavailable ? { unavailable: program } : {}),
        });
      }
    };
}

export function asKernelError(error: unknown): KernelError {
  return error instanceof KernelError ? error : new KernelError(errorMessage(error), { cause: error });
}

/** Returns a tool's message, or why it did not run. */
export function toolMessage(error: unknown): string {
  const isMissing = error instanceof ChildError && error.reason === 'spawn';
  return isMissing ? `${error.message}: is it installed?` : errorMessage(error);
}
