import { ChildError } from '@coold/runtime';
import { runTool } from './iptables.ts';
import type { RunTool } from './nft-plane.ts';

/** The packet filter did not do what it was told, or could not be asked. */
export class KernelError extends Error {
  /** The program that could not be run, or was killed when its time was up; asking it again costs that time again. */
  readonly unavailable: string | undefined;
  /** It ran until its time was up: what it was told may have happened. */
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
 * The packet filter's tools, whose failures are KernelErrors.
 *
 * @param timeoutMs a tool is killed after it; the rules that it is given add a little each
 */
export function createTool(timeoutMs: number): (rules?: number) => RunTool {
  return (rules = 0) =>
    async (program, args, input, onLine) => {
      try {
        return await runTool(program, args, input, onLine, timeoutMs + rules * perRuleMs);
      } catch (error) {
        const { message } = error as Error;
        if (!(error instanceof ChildError)) throw new KernelError(message, { cause: error });
        throw new KernelError(error.reason === 'spawn' ? `${message}: is it installed?` : message, {
          cause: error,
          unavailable: program,
        });
      }
    };
}

export function asKernelError(error: unknown): KernelError {
  return error instanceof KernelError ? error : new KernelError((error as Error).message, { cause: error });
}
