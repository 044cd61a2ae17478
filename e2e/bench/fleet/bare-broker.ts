// The peer of the streams benchmark: grpc-js, with only the path taken from this project. It accepts every stream, and
// on SIGUSR2 writes the one command to each. Argument: port.
import { create, toBinary } from '@bufbuild/protobuf';
import { agentStream, ServerMsgSchema } from '@coold/proto';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';

const [port = ''] = process.argv.slice(2);
const command = Buffer.from(
  toBinary(
    ServerMsgSchema,
    create(ServerMsgSchema, { requestId: 'bench-000000', command: { case: 'listContainers', value: {} } }),
  ),
);
const streams = new Set<ServerDuplexStream<Buffer, Buffer>>();
let answered = 0;

const grpc = new Server();
grpc.addService(
  {
    stream: {
      ...agentStream,
      requestDeserialize: (frame: Buffer) => frame,
      responseSerialize: (frame: Buffer) => frame,
    },
  },
  {
    stream(call: ServerDuplexStream<Buffer, Buffer>) {
      call.sendMetadata(call.metadata);
      streams.add(call);
      call.once('cancelled', () => streams.delete(call));
      call.once('data', () => {
        call.on('data', () => {
          answered += 1;
          if (answered % streams.size === 0) process.stderr.write('{"msg":"all answered"}\n');
        });
      });
    },
  },
);
await new Promise<void>((resolve, reject) =>
  grpc.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), error =>
    error ? reject(error) : resolve(),
  ),
);
process.on('SIGUSR2', () => {
  for (const call of streams) call.write(command);
});
process.stderr.write('{"msg":"listening"}\n');
