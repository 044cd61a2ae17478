import { maxStreamChunkBytes, type StreamInput } from '@coold/proto';
import { VerbError } from './verb-error.ts';

/** Columns and rows of a terminal. */
export interface TerminalSize {
  cols: number;
  rows: number;
}

/** What a streamed call is sent while it runs, for its handler. Both end by throwing once the call is over. */
export interface Input {
  /** To the end of input; a chunk counts as taken when the next is asked for. */
  stdin: AsyncIterable<Buffer>;
  /** Only the newest of those that have not been looked at. Past stdin that waits: a resize does not wait its turn. */
  resizes: AsyncIterable<TerminalSize>;
}

/** Its other end, for the transport. */
export interface InputQueue extends Input {
  /** @throws VerbError 400 for what the sender had no leave to send, 409 for stdin after its end */
  push(input: StreamInput): void;
  /** Resolves once all that was pushed has been taken. @throws VerbError 404 when the call is over before */
  taken(): Promise<void>;
  /** Resolves with the same when the call is over. */
  over: Promise<VerbError>;
  close(): void;
}

/** Keystrokes are gathered up to this, so that small chunks do not weigh more than what they hold. */
const gatherBytes = 4096;

/**
 * @param window bytes of stdin that may wait here; 0: none is taken
 * @param onTaken is told how many more may be sent
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
    if (ended) throw new VerbError(409, 'stdin: eof was sent before', { field: 'stdin' });
    if (data.length > maxStreamChunkBytes)
      throw new VerbError(400, `stdin: expected at most ${maxStreamChunkBytes} bytes at once`, {
        field: 'stdin',
      });
    if (waiting + data.length > window)
      throw new VerbError(400, 'stdin: more than there was leave to send', { field: 'stdin' });
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
      if (window === 0) throw new VerbError(400, 'this stream takes no input');
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
          // Of a kind that a newer broker knows; ignored as docs/contract.md §1 has it for all that is unknown.
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

const over = () => new VerbError(404, 'the stream has ended');

/** Wakes whoever waits for it, once. */
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
