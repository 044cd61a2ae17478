import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { errorMessage } from '../unknown-values.ts';
import { textBlocks } from './text-blocks.ts';

export interface ChildResult {
  /** The exit code, null when a signal ended the child. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Whether output beyond `maxOutputBytes` was dropped. */
  truncated: boolean;
}

export interface ChildOptions {
  /** The time limit in ms. After it, the child and everything that it started are killed, and the promise rejects. */
  timeoutMs: number;
  /** The child is killed when it writes nothing for this long, in ms. */
  silenceMs?: number;
  /** How much of each stream is kept. The rest is read and dropped, so that the child never blocks. Default 1 MiB. */
  maxOutputBytes?: number;
  /** Called with the process id once the child runs. */
  onStart?: (pid: number) => void;
  /** Called with all output as it arrives. */
  onOutput?: (chunk: Buffer, stream: 'stdout' | 'stderr') => void;
  /** The whole input, or parts that are generated as the child reads them. An error while generating kills the child. */
  input?: string | Uint8Array | { parts: Iterable<string> };
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  signal?: AbortSignal;
  /**
   * Whether the kernel kills the child as soon as this process ends in any way. Otherwise the child could act on half of
   * its input.
   */
  diesWithUs?: boolean;
}

/** The program could not be started, ran out of time, or was aborted. A non-zero exit code is a result, not an error. */
export class ChildError extends Error {
  readonly reason: 'spawn' | 'timeout' | 'aborted';
  constructor(reason: ChildError['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ChildError';
    this.reason = reason;
  }
}

/**
 * Runs a program by argument vector, never through a shell, in a process group of its own, so that a timeout ends its
 * children, too.
 *
 * @throws ChildError when the program does not start, runs out of time, or is aborted
 */
export function runChild(
  program: string,
  args: readonly string[],
  options: ChildOptions,
): Promise<ChildResult> {
  const {
    timeoutMs,
    silenceMs,
    maxOutputBytes = 1 << 20,
    onStart,
    onOutput,
    input,
    signal,
    diesWithUs = false,
    ...spawnOptions
  } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true)
      return reject(new ChildError('aborted', `${program}: aborted before it started`));
    const unstarted = (error: unknown) =>
      reject(new ChildError('spawn', `${program}: ${errorMessage(error)}`, error));
    let child: ChildProcessWithoutNullStreams;
    try {
      const [command = '', ...words] = [...(diesWithUs ? untilWeDie : []), program, ...args];
      child = spawn(command, words, { ...spawnOptions, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    } catch (error) {
      return unstarted(error); // arguments too long, or with a NUL in them
    }
    child.on('error', unstarted);
    if (child.pid === undefined) return; // the event above follows; out of descriptors, there are no streams either
    onStart?.(child.pid);
    let failure: ChildError | undefined;
    const end = (error: ChildError) => {
      failure ??= error;
      if (child.pid !== undefined) killGroup(child.pid);
      // A process that left the group may hold a pipe open. It must not delay the result.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(
      () => end(new ChildError('timeout', `${program}: killed after ${timeoutMs} ms`)),
      timeoutMs,
    );
    const onAbort = () => end(new ChildError('aborted', `${program}: aborted`));
    signal?.addEventListener('abort', onAbort, { once: true });
    const silence =
      silenceMs === undefined
        ? undefined
        : setTimeout(
            () => end(new ChildError('timeout', `${program}: killed after ${silenceMs} ms without output`)),
            silenceMs,
          );
    const watch = (stream: 'stdout' | 'stderr') =>
      child[stream].on('data', (chunk: Buffer) => {
        silence?.refresh();
        onOutput?.(chunk, stream);
      });
    const stdout = collect(watch('stdout'), maxOutputBytes);
    const stderr = collect(watch('stderr'), maxOutputBytes);
    child.stdin.on('error', () => {}); // a child that does not read its input is not an error of ours
    if (typeof input === 'object' && 'parts' in input) {
      // The child must not act on half of the input: stdin is closed only after all of it.
      const source = Readable.from(textBlocks(input.parts), { objectMode: false });
      source.on('error', error => end(new ChildError('aborted', `${program}: ${error.message}`, error)));
      child.stdin.on('close', () => source.destroy());
      source.pipe(child.stdin);
    } else child.stdin.end(input ?? '');
    child.on('close', (code, exitSignal) => {
      clearTimeout(timer);
      clearTimeout(silence);
      signal?.removeEventListener('abort', onAbort);
      if (failure !== undefined) reject(failure);
      else if (diesWithUs && (code === 126 || code === 127) && stderr.text().startsWith('setpriv: '))
        reject(new ChildError('spawn', `${program}: ${stderr.text().trim()}`));
      else
        resolve({
          code,
          signal: exitSignal,
          stdout: stdout.text(),
          stderr: stderr.text(),
          truncated: stdout.truncated() || stderr.truncated(),
        });
    });
  });
}

/** setpriv executes the program in its own process, so that a timeout kills the program. */
const untilWeDie = ['setpriv', '--pdeathsig', 'KILL', '--'];

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number): { text(): string; truncated(): boolean } {
  const chunks: Buffer[] = [];
  let size = 0;
  let truncated = false;
  stream.on('data', (chunk: Buffer) => {
    const room = maxBytes - size;
    if (chunk.length > room) truncated = true;
    if (room <= 0) return;
    const kept = chunk.subarray(0, room);
    chunks.push(kept);
    size += kept.length;
  });
  return { text: () => Buffer.concat(chunks).toString('utf8'), truncated: () => truncated };
}
