import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { textBlocks } from './text-blocks.ts';

export interface ChildResult {
  /** Exit code; null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Output beyond `maxOutputBytes` was dropped. */
  truncated: boolean;
}

export interface ChildOptions {
  /** After this long the child and all it started are killed and the promise rejects. */
  timeoutMs: number;
  /** Killed as well once it wrote nothing for this long. */
  silenceMs?: number;
  /** Kept of each stream; what comes after is read and dropped, so that the child never blocks. Default 1 MiB. */
  maxOutputBytes?: number;
  /** Called with its process id once it runs. */
  onStart?: (pid: number) => void;
  /** Sees the output as it comes, all of it. */
  onOutput?: (chunk: Buffer, stream: 'stdout' | 'stderr') => void;
  /** Whole, or in parts that are made as the child takes them; what throws while they are made kills it. */
  input?: string | Uint8Array | { parts: Iterable<string> };
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  signal?: AbortSignal;
  /**
   * Killed by the kernel as soon as this process is gone, however that ends: what it would still read of its input is half of
   * it, and what it would still do is seen by nobody.
   */
  diesWithUs?: boolean;
}

/** The program could not be started, outlived its time, or was aborted. A non-zero exit is a result, not this. */
export class ChildError extends Error {
  readonly reason: 'spawn' | 'timeout' | 'aborted';
  constructor(reason: ChildError['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ChildError';
    this.reason = reason;
  }
}

/**
 * Runs a program by argument vector, never through a shell, in a process group of its own so that a timeout takes its
 * children too.
 *
 * @throws ChildError
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
      reject(new ChildError('spawn', `${program}: ${(error as Error).message}`, error));
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
      // What left the group lives on, but must not hold the answer back by holding a pipe open.
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
            () => end(new ChildError('timeout', `${program}: killed after ${silenceMs} ms without a word`)),
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
      // Half of it is not what the child is to act upon: its end comes after all of it, or never.
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

/** What follows becomes this very process, so that a timeout finds it. */
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
