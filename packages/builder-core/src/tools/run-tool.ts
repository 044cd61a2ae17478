import { ChildError, runChild } from '@coold/runtime/child';
import { BuildFailure, type Stage } from '../build-failure.ts';
import { createLineSplitter, type OutputLine } from './output-lines.ts';

export interface Tool {
  env: NodeJS.ProcessEnv;
  stage: Stage;
  signal?: AbortSignal;
  /** The tool is killed after this long, in ms. Default 6 h: the unit's RuntimeMaxSec ends a build earlier (docs/contract.md §7). */
  timeoutMs?: number;
  /** The tool is killed when it writes nothing for this long, in ms. */
  silenceMs?: number;
  cwd?: string;
  /** Called with the process id once the tool runs. */
  onStart?: (pid: number) => void;
  /** Called with the lines of each read, as the output arrives. */
  onLines?: (lines: OutputLine[], stream: 'stdout' | 'stderr') => void;
}

export interface ToolResult {
  /** The exit code, null when a signal ended the tool. */
  code: number | null;
  /** The first 64 KiB of its output. */
  stdout: string;
  /** The last lines that it wrote to stderr, at most 20. */
  stderrTail: string[];
}

const defaultTimeoutMs = 6 * 3_600_000;
const keptStderrLines = 20;

/**
 * Runs a tool to its end. A non-zero exit code is a result, not an error.
 *
 * @throws BuildFailure 504 when the tool took too long, 500 when it does not start
 * @throws ChildError `aborted` when the signal aborts
 */
export async function runTool(program: string, args: readonly string[], tool: Tool): Promise<ToolResult> {
  const { env, stage, signal, timeoutMs = defaultTimeoutMs, silenceMs, cwd, onStart, onLines } = tool;
  const stderrTail: string[] = [];
  const splitters = { stdout: createLineSplitter(), stderr: createLineSplitter() };
  const take = (lines: OutputLine[], stream: 'stdout' | 'stderr') => {
    if (lines.length === 0) return;
    if (stream === 'stderr') {
      stderrTail.push(...lines.filter(({ transient }) => !transient).map(({ text }) => text));
      stderrTail.splice(0, Math.max(0, stderrTail.length - keptStderrLines));
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
    return { code, stdout, stderrTail };
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

/** Returns the line that says why a tool failed: the last one that matches `pattern`, or the last one. At most 1000 characters, without control characters. */
export function failureReason(stderrTail: readonly string[], pattern: RegExp): string {
  const said = stderrTail.filter(line => line.trim() !== '');
  const line = said.findLast(words => pattern.test(words)) ?? said.at(-1) ?? 'it said nothing';
  return line.replaceAll(controlCharacters, ' ').trim().slice(0, 1000);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: servers and build steps may write any bytes
const controlCharacters = /[\u0000-\u001f\u007f]+/g;
