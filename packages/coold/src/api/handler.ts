import type { DescMessage, Message, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import type { Frame } from '../podman/multiplexed.ts';
import type { Input } from './stream-input.ts';

/** What runs when a verb is called, whichever transport it came by. Rejects with a VerbError for what callers may see. */
export interface Handler {
  request: DescMessage;
  response: DescMessage;
  run(request: Message, signal: AbortSignal): Promise<Message>;
  /** How its answer is streamed; of verbs that say so in the .proto, and of no other. */
  stream?: StreamForm;
}

/** A verb's answer as it comes about (streaming.proto), whichever transport asked for it. */
export interface StreamForm {
  /** It reads stdin and terminal sizes. */
  takesInput: boolean;
  /** What is wrong with the request is thrown before `io.opened`. Settles once what fed the stream has been stopped. */
  run(request: Message, io: StreamIo): Promise<StreamEnding>;
}

/** A streamed call's caller, as its handler has it. */
export interface StreamIo extends Input {
  /** Tells the caller that it begins: errors before are the usual ones. Called once, before anything is written. */
  opened(): Promise<void>;
  /** Resolves when the caller has room for more. @throws when nobody reads any more */
  write(frame: Frame): Promise<void>;
  /** Aborts when nobody reads any more. */
  signal: AbortSignal;
}

export interface StreamEnding {
  /** Of a program that was run. */
  exitCode?: number;
}

/** A handler with its messages typed; `signal` aborts when nobody waits for the answer any more. */
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

/** The streamed form beside it. */
export function streamForm<Req extends DescMessage>(
  _request: Req,
  takesInput: boolean,
  run: (request: MessageShape<Req>, io: StreamIo) => Promise<StreamEnding>,
): StreamForm {
  return { takesInput, run: (message, io) => run(message as MessageShape<Req>, io) };
}
