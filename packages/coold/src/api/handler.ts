import type { DescMessage, Message, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';

/** What runs when a verb is called, whichever transport it came by. Rejects with a VerbError for what callers may see. */
export interface Handler {
  request: DescMessage;
  response: DescMessage;
  run(request: Message, signal: AbortSignal): Promise<Message>;
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
