import type { DescMessage, Message, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import type { Frame } from './podman/multiplexed.ts';
import type { Input } from './stream-input.ts';

/** Runs a verb, whichever transport the call came by. Rejects with a VerbError for errors that callers may see. */
export interface Handler {
  request: DescMessage;
  response: DescMessage;
  run(request: Message, signal: AbortSignal): Promise<Message>;
  /** Streams the answer. Present exactly for verbs that the .proto marks as streaming. */
  stream?: StreamForm;
}

/** The streamed form of a verb's answer (streaming.proto), for every transport. */
export interface StreamForm {
  /** Whether it reads stdin and terminal sizes. */
  takesInput: boolean;
  /** Whether it needs no connection to Podman and no buffer. Such streams have a limit of their own. */
  isLight?: boolean;
  /** Throws what is wrong with the request before `io.opened`. Settles once the source of the stream has been stopped. */
  run(request: Message, io: StreamIo): Promise<StreamEnding>;
}

/** The caller of a streamed verb, as the handler sees it. */
export interface StreamIo extends Input {
  /**
   * Tells the caller that the stream begins; earlier errors are ordinary answers. Called once, before anything is
   * written.
   */
  opened(): Promise<void>;
  /** Resolves when the caller has room for more. @throws when the caller no longer reads */
  write(frame: Frame): Promise<void>;
  /** Aborts when the caller no longer reads. */
  signal: AbortSignal;
}

export interface StreamEnding {
  /** The exit code of a program that was run. */
  exitCode?: number;
}

/** Creates a handler with typed messages. `signal` aborts when no caller waits for the answer any more. */
export function handler<Req extends DescMessage, Resp extends DescMessage>(
  request: Req,
  response: Resp,
  run: (request: MessageShape<Req>, signal: AbortSignal) => Promise<MessageInitShape<Resp>>,
): Handler {
  return {
    request,
    response,
    run: async (message, signal) => create(response, await run(message as MessageShape<Req>, signal)),
  };
}

/** Creates the streamed form of a handler. */
export function streamForm<Req extends DescMessage>(
  _request: Req,
  takesInput: boolean,
  run: (request: MessageShape<Req>, io: StreamIo) => Promise<StreamEnding>,
  { isLight = false } = {},
): StreamForm {
  return { takesInput, isLight, run: (message, io) => run(message as MessageShape<Req>, io) };
}
