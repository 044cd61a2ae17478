import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  agentStream,
  ClientMsgSchema,
  HelloSchema,
  ResponseSchema,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import { Client, credentials, Metadata, type StatusObject } from '@grpc/grpc-js';

export interface StubHostOptions {
  /** `host:port` of a broker's plain listener. */
  address: string;
  token?: string;
  /** The Hello to send at once. null: none. */
  hello?: MessageInitShape<typeof HelloSchema> | null;
  onCommand?: (message: ServerMsg, host: StubHost) => void;
  /** False: leaves every command unread. */
  reads?: boolean;
}

/**
 * A host that answers as a test tells it. It replaces coold for faults that coold does not have:
 * silence, answers of the wrong kind, twice, too late, too large.
 */
export interface StubHost {
  respond(response: MessageInitShape<typeof ResponseSchema>): void;
  /** Sends a frame unchanged. */
  sendRaw(frame: Uint8Array): void;
  sendHello(hello?: MessageInitShape<typeof HelloSchema>): void;
  /** Resolves when the broker took the Hello. */
  accepted: Promise<void>;
  ended: Promise<StatusObject>;
  /** Half-closes, as a host that leaves in good order. */
  finish(): void;
  /** Resets the stream, as a host does that dies. */
  cut(): void;
}

const defaultHello = {
  hostMgmtIp: '100.64.0.9',
  cooldVersion: '0.0.0-stub',
  schemaMin: 1,
  schemaMax: 2,
  capabilities: ['coold'],
};

export function connectStubHost({
  address,
  token,
  hello,
  onCommand,
  reads = true,
}: StubHostOptions): StubHost {
  const client = new Client(`dns:${address}`, credentials.createInsecure(), {
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  });
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  const call = client.makeBidiStreamRequest(
    agentStream.path,
    (frame: Uint8Array) => Buffer.from(frame),
    bytes => fromBinary(ServerMsgSchema, bytes),
    metadata,
  );
  const accepted = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<StatusObject>();
  const host: StubHost = {
    accepted: accepted.promise,
    ended: ended.promise,
    respond: response =>
      host.sendRaw(clientMsg({ case: 'response', value: create(ResponseSchema, response) })),
    sendRaw: frame => void call.write(frame),
    sendHello: init =>
      host.sendRaw(clientMsg({ case: 'hello', value: create(HelloSchema, init ?? defaultHello) })),
    finish: () => call.end(),
    cut: () => call.cancel(),
  };
  call.once('metadata', () => accepted.resolve());
  if (reads) call.on('data', (message: ServerMsg) => onCommand?.(message, host));
  call.on('error', () => {}); // the status says it
  call.once('status', (status: StatusObject) => {
    client.close();
    accepted.reject(new Error(`stream ended: ${status.details}`));
    ended.resolve(status);
  });
  accepted.promise.catch(() => {}); // for those who only look at `ended`
  if (hello !== null) host.sendHello(hello);
  return host;
}

function clientMsg(payload: NonNullable<MessageInitShape<typeof ClientMsgSchema>['payload']>): Uint8Array {
  return toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload }));
}
