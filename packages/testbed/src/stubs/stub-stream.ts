import {
  type ServerMsg,
  StreamFrame_Source as Source,
  type StreamFrame_Source,
  type StreamInput,
} from '@coold/proto';
import type { StubHost } from './stub-host.ts';

/** A streamed command as a stub host plays it. It obeys the broker's credit, unless told to `push`. */
export interface StubStream {
  command: ServerMsg;
  /** Opens the stream with this much credit for stdin, in bytes. 0: it takes no input. */
  open(stdinCredit?: number): void;
  /** Sends output as credit arrives. Resolves when everything is sent. @throws Error when the stream was cancelled */
  write(data: string | Uint8Array, source?: StreamFrame_Source): Promise<void>;
  /** Sends a frame whatever was granted. */
  push(data: string | Uint8Array, source?: StreamFrame_Source): void;
  grant(bytes: number): void;
  end(exitCode?: number): void;
  fail(code: number, message: string, field?: string): void;
  /** The remaining credit for output, in bytes. */
  credit(): number;
  /** The next input. */
  input(): Promise<StreamInput['input']>;
  cancelled: Promise<void>;
}

const chunkBytes = 64 * 1024;

/** Handles the streaming commands of a stub host. Others go to `onCommand`. */
export function playStreams(
  onStream: (stream: StubStream) => void,
  onCommand: (message: ServerMsg, host: StubHost) => void = () => {},
): (message: ServerMsg, host: StubHost) => void {
  const streams = new Map<string, ReturnType<typeof createStubStream>>();
  return (message, host) => {
    if (message.stream !== undefined) {
      const stream = createStubStream(message, host);
      streams.set(message.requestId, stream);
      onStream(stream.stream);
    } else if (streams.get(message.requestId)?.take(message.command) !== true) onCommand(message, host);
  };
}

function createStubStream(command: ServerMsg, host: StubHost) {
  const { requestId } = command;
  const cancelled = Promise.withResolvers<void>();
  const inputs: StreamInput['input'][] = [];
  let credit = Number(command.stream?.credit ?? 0n);
  let isCancelled = false;
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const stream: StubStream = {
    command,
    open: (stdinCredit = 0) =>
      host.respond({ requestId, body: { case: 'streamOpened', value: { credit: BigInt(stdinCredit) } } }),
    async write(data, source = Source.STDOUT) {
      const bytes = Buffer.from(data);
      for (let from = 0; from < bytes.length; ) {
        while (credit === 0 && !isCancelled) await changed.promise;
        if (isCancelled) throw new Error('cancelled');
        const part = bytes.subarray(from, from + Math.min(credit, chunkBytes));
        stream.push(part, source);
        from += part.length;
      }
    },
    push(data, source = Source.STDOUT) {
      const bytes = Buffer.from(data);
      credit = Math.max(0, credit - bytes.length);
      host.respond({ requestId, body: { case: 'streamFrame', value: { source, data: bytes } } });
    },
    grant: bytes =>
      host.respond({ requestId, body: { case: 'streamCredit', value: { bytes: BigInt(bytes) } } }),
    end: exitCode =>
      host.respond({
        requestId,
        body: { case: 'streamEnd', value: exitCode === undefined ? {} : { exitCode } },
      }),
    fail: (code, message, field = '') =>
      host.respond({ requestId, body: { case: 'error', value: { code, message, field } } }),
    credit: () => credit,
    async input() {
      for (let next = inputs.shift(); ; next = inputs.shift()) {
        if (next !== undefined) return next;
        if (isCancelled) throw new Error('cancelled');
        await changed.promise;
      }
    },
    cancelled: cancelled.promise,
  };
  return {
    stream,
    /** True: it was of this stream. */
    take({ case: kind, value }: ServerMsg['command']): boolean {
      switch (kind) {
        case 'streamCredit':
          credit += Number(value.bytes);
          break;
        case 'streamInput':
          inputs.push(value.input);
          break;
        case 'streamCancel':
          isCancelled = true;
          cancelled.resolve();
          break;
        default:
          return false;
      }
      change();
      return true;
    },
  };
}
