import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Agent, ClientMsgSchema, ServerMsgSchema } from '../gen/coolify/agent/v1/agent_pb.js';
import { BrokerPeer } from '../gen/coolify/broker/v1/peer_pb.js';

/** How one end of the stream writes messages of a type to bytes and reads them. */
function wire<T extends DescMessage>(schema: T) {
  return {
    serialize: (message: MessageShape<T>) => Buffer.from(toBinary(schema, message)),
    deserialize: (bytes: Uint8Array) => fromBinary(schema, bytes),
  };
}

const fromHost = wire(ClientMsgSchema);
const toHost = wire(ServerMsgSchema);

/** Agent.Stream as a gRPC library wants it: names from the descriptor, bytes by protobuf-es. */
export const agentStream = {
  path: `/${Agent.typeName}/${Agent.method.stream.name}`,
  requestStream: true,
  responseStream: true,
  requestSerialize: fromHost.serialize,
  requestDeserialize: fromHost.deserialize,
  responseSerialize: toHost.serialize,
  responseDeserialize: toHost.deserialize,
} as const;

/** The path of BrokerPeer.Forward. */
export const forwardPath = `/${BrokerPeer.typeName}/${BrokerPeer.method.forward.name}`;

/** The path of BrokerPeer.Stream. */
export const forwardStreamPath = `/${BrokerPeer.typeName}/${BrokerPeer.method.stream.name}`;

/** The path of BrokerPeer.Build. */
export const peerBuildPath = `/${BrokerPeer.typeName}/${BrokerPeer.method.build.name}`;

/** The path of BrokerPeer.Hosts. */
export const peerHostsPath = `/${BrokerPeer.typeName}/${BrokerPeer.method.hosts.name}`;

/** The path of BrokerPeer.Revocations. */
export const revocationsPath = `/${BrokerPeer.typeName}/${BrokerPeer.method.revocations.name}`;

/** A Response of more bytes than this is answered as an Error 413 (docs/contract.md §1). */
export const maxResponseBytes = 4 * 1024 * 1024;
