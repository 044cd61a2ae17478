import { ChildError, runChild } from '@coold/runtime/child';
import { BuildFailure, type Stage } from './build-failure.ts';
import { createLineSplitter, type OutputLine } from './output-lines.ts';

export interface Tool {
  env: NodeJS.ProcessEnv;
  stage: Stage;
  signal?: AbortSignal;
  /** Killed after so long; default 6 h, since the unit's RuntimeMaxSec is what ends a build (docs/contract.md §7). */
  timeoutMs?: number;
  /** Killed when it wrote nothing for so long. */
  silenceMs?: number;
  cwd?: string;
  /** Called with its process id once it runs. */
  onStart?: (pid: number) => void;
  /** Sees the output line by line as it comes, those of one read together. */
  onLines?: (lines: OutputLine[], stream: 'stdout' | 'stderr') => void;
}

export interface ToolResult {
  /** Null: a signal ended it. */
  code: number | null;
  /** The first 64 KiB. */
  stdout: string;
  /** The last lines of what it wrote to stderr. */
  lastWords: string[];
}

const defaultTimeoutMs = 6 * 3_600_000;
const wordsKept = 20;

/**
 * Runs a tool to its end; how it ended is for the caller to judge.
 *
 * @throws BuildFailure 504 when it took too long, 500 when it does not start
 * @throws ChildError `aborted`
 */
export async function runTool(program: string, args: readonly string[], tool: Tool): Promise<ToolResult> {
  const { env, stage, signal, timeoutMs = defaultTimeoutMs, silenceMs, cwd, onStart, onLines } = tool;
  const lastWords: string[] = [];
  const splitters = { stdout: createLineSplitter(), stderr: createLineSplitter() };
  const take = (lines: OutputLine[], stream: 'stdout' | 'stderr') => {
    if (lines.length === 0) return;
    if (stream === 'stderr') {
      lastWords.push(...lines.filter(({ transient }) => !transient).map(({ text }) => text));
      lastWords.splice(0, Math.max(0, lastWords.length - wordsKept));
    }
    onLines?.(lines, stream);
  };
  try {
    const { code, stdout } = await runChild(program, args, {
      env,
      timeoutMs,
      maxOutputBytes: 1 << 16,
      onOutput: (chunk, stream) => take(splitters[stream].push(chunk), stream),
      ...(silenceMs === undefined ? {} : { silenceMs }),
      ...(signal === undefined ? {} : { signal }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(onStart === undefined ? {} : { onStart }),
    });
    return { code, stdout, lastWords };
  } catch (error) {
    throw asFailure(error, stage);
  } finally {
    for (const stream of ['stdout', 'stderr'] as const) take(splitters[stream].end(), stream);
  }
}

function asFailure(error: unknown, stage: Stage): unknown {
  if (!(error instanceof ChildError)) return error;
  switch (error.reason) {
    case 'aborted':
      return error;
    case 'timeout':
      return new BuildFailure(504, stage, error.message, { cause: error });
    case 'spawn':
      return new BuildFailure(500, stage, `${error.message}: is it installed?`, { cause: error });
  }
}

/** The line that says why a tool failed, for a message: the last one that looks like it, or the last. */
export function reasonIn(lastWords: readonly string[], pattern: RegExp): string {
  const said = lastWords.filter(line => line.trim() !== '');
  const line = said.findLast(words => pattern.test(words)) ?? said.at(-1) ?? 'it said nothing';
  return line.replaceAll(controlCharacters, ' ').trim().slice(0, 1000);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: servers and build steps write what they like
const controlCharacters = /[\u0000-\u001f\u007f]+/g;
