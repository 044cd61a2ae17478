// The host of the dispatch benchmark, for the broker and for its peers: it answers at once with the same three
// containers. Arguments: "broker" ADDRESS TOKEN, "echo" ADDRESS, or "nats" ADDRESS.
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ClientMsgSchema, ResponseSchema } from '@coold/proto';
import { connectStubHost } from '@coold/testbed';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { connect } from '@nats-io/transport-node';
import { echoStream } from './echo-wire.ts';

const containers = ['web', 'db', 'cache'].map(name => ({
  id: name.padEnd(64, '0'),
  name,
  image: `registry.example.com/tenant/${name}:latest`,
  state: 'running',
  networks: ['coolify-default-mesh'],
}));

const answer = Buffer.from(JSON.stringify({ request_id: 'bench-000000', status: 'ok', data: containers }));

const [kind, address = '', token = ''] = process.argv.slice(2);
if (kind === 'broker') {
  // Encoded once: the broker is measured, and the peer's host encodes nothing either.
  const listContainers = create(ResponseSchema, { body: { case: 'listContainers', value: { containers } } });
  const body = toBinary(ResponseSchema, listContainers);
  const { number } = ClientMsgSchema.field.response;
  const host = connectStubHost({
    address,
    token,
    onCommand({ requestId }, self) {
      const id = toBinary(ResponseSchema, create(ResponseSchema, { requestId }));
      const response = Buffer.concat([id, body]);
      self.sendRaw(new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(response).finish());
    },
  });
  await host.accepted;
} else if (kind === 'nats') {
  const connection = await connect({ servers: address });
  connection.subscribe('host.bench', { callback: (_error, message) => void message.respond(answer) });
  await connection.flush();
} else {
  const client = new Client(`dns:${address}`, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(
    echoStream.path,
    echoStream.requestSerialize,
    echoStream.responseDeserialize,
    new Metadata(),
  );
  call.on('data', (frame: Buffer) => void call.write(Buffer.concat([frame.subarray(0, 4), answer])));
  await new Promise<void>(resolve => call.once('metadata', () => resolve()));
}
process.stderr.write('{"msg":"connected"}\n');
