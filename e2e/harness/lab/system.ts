import { ChildError, type ChildOptions, runChild } from '@coold/runtime';
import { HarnessError } from '../provider.ts';

/**
 * Runs a program of this machine that has to succeed; returns its stdout.
 *
 * @throws HarnessError with the program and its output
 */
export async function system(
  program: string,
  args: readonly string[],
  options: Partial<ChildOptions> = {},
): Promise<string> {
  const { code, stdout, stderr } = await runChild(program, args, { timeoutMs: 10_000, ...options }).catch(
    (error: unknown) => {
      if (error instanceof ChildError) throw new HarnessError(error.message, { cause: error });
      throw error;
    },
  );
  if (code === 0) return stdout;
  const said = stderr.trim().replaceAll(/\s*\n\s*/g, ' | ') || `it ended with ${code ?? 'a signal'}`;
  throw new HarnessError(`${program} ${args.join(' ')}: ${said}`);
}
