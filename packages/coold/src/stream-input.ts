import { VerbError } from '@coold/errors';
import { maxStreamChunkBytes, type StreamInput } from '@coold/proto';

/** The columns and rows of a terminal. */
export interface TerminalSize {
  cols: number;
  rows: number;
}

/** What a streamed call receives while it runs, for its handler. Both iterables end by throwing once the call is over. */
export interface Input {
  /** Stdin to its end. A chunk counts as taken when the next one is requested. */
  stdin: AsyncIterable<Buffer>;
  /** Only the newest size that was not read yet. A resize overtakes waiting stdin. */
  resizes: AsyncIterable<TerminalSize>;
}

/** The transport's end of the input. */
export interface InputQueue extends Input {
  /** @throws VerbError 400 for input beyond the sender's credit, 409 for stdin after its end */
  push(input: StreamInput): void;
  /** Resolves once everything pushed has been taken. @throws VerbError 404 when the call ends first */
  taken(): Promise<void>;
  /** Resolves with the same error when the call is over. */
  over: Promise<VerbError>;
  close(): void;
}

/** Small chunks are joined up to this size, so that their overhead does not exceed their content. */
const gatherBytes = 4096;

/**
 * @param window the bytes of stdin that may wait here; 0 when none is accepted
 *
 * @param onTaken is called with how many more bytes may be sent
 */
export function createInput(window: number, onTaken: (bytes: number) => void = () => {}): InputQueue {
  const chunks: Buffer[] = [];
  let waiting = 0; // bytes, with those that the handler is at
  let ended = false;
  let closed = false;
  const end = Promise.withResolvers<VerbError>();
  let size: TerminalSize | undefined;
  const stdinCame = createBell();
  const sizeCame = createBell();
  const stdinTaken = createBell();

  function add(data: Uint8Array): void {
    if (ended) throw new VerbError('input_not_taken', 'stdin: eof was sent before', { field: 'stdin' });
    if (data.length > maxStreamChunkBytes)
      throw new VerbError('invalid_request', `stdin: expected at most ${maxStreamChunkBytes} bytes at once`, {
        field: 'stdin',
      });
    if (waiting + data.length > window)
      throw new VerbError('invalid_request', 'stdin: more than there was leave to send', { field: 'stdin' });
    if (data.length === 0) return;
    waiting += data.length;
    const last = chunks.at(-1);
    if (last !== undefined && last.length + data.length <= gatherBytes)
      chunks[chunks.length - 1] = Buffer.concat([last, data]);
    else chunks.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    stdinCame.ring();
  }

  async function* readStdin(): AsyncGenerator<Buffer, void, void> {
    for (;;) {
      if (closed) throw over();
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        waiting -= chunk.length;
        onTaken(chunk.length);
        if (waiting === 0) stdinTaken.ring();
      } else if (ended) return;
      else await stdinCame.rung();
    }
  }
  async function* readSizes(): AsyncGenerator<TerminalSize, void, void> {
    for (;;) {
      if (closed) throw over();
      const next = size;
      size = undefined;
      if (next === undefined) await sizeCame.rung();
      else yield next;
    }
  }

  return {
    stdin: readStdin(),
    resizes: readSizes(),
    push({ input }) {
      if (window === 0) throw new VerbError('invalid_request', 'this stream takes no input');
      switch (input.case) {
        case 'stdin':
          return add(input.value);
        case 'resize':
          size = { cols: input.value.cols, rows: input.value.rows };
          return sizeCame.ring();
        case 'eof':
          ended ||= input.value;
          return stdinCame.ring();
        case undefined:
          // Input of an unknown kind, from a newer broker, is ignored, as docs/contract.md §1 requires of everything
          // unknown.
          return;
      }
    },
    async taken() {
      while (waiting > 0 && !closed) await stdinTaken.rung();
      if (closed) throw over();
    },
    over: end.promise,
    close() {
      closed = true;
      end.resolve(over());
      for (const bell of [stdinCame, sizeCame, stdinTaken]) bell.ring();
    },
  };
}

const over = () => new VerbError('session_not_found', 'the stream has ended');

/** Wakes everyone who waits, once. */
function createBell() {
  let next = Promise.withResolvers<void>();
  return {
    ring() {
      next.resolve();
      next = Promise.withResolvers<void>();
    },
    rung: () => next.promise,
  };
}
