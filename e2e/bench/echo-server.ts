// The peer of the dispatch benchmark: fastify on a Unix socket and grpc-js, with no code of this project between them.
// It sends a posted body unchanged down the one stream and answers with what comes back. Arguments: socket, gRPC port.
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import Fastify from 'fastify';
import { echoStream } from './echo-wire.ts';

const [socket = '', port = ''] = process.argv.slice(2);
const waiting = new Map<number, (body: Buffer) => void>();
let stream: ServerDuplexStream<Buffer, Buffer> | undefined;
let last = 0;

const grpc = new Server();
grpc.addService(
  { stream: echoStream },
  {
    stream(call: ServerDuplexStream<Buffer, Buffer>) {
      stream = call;
      call.sendMetadata(call.metadata);
      call.on('data', (frame: Buffer) => {
        const id = frame.readUInt32BE(0);
        waiting.get(id)?.(frame.subarray(4));
        waiting.delete(id);
      });
    },
  },
);
await new Promise<void>((resolve, reject) =>
  grpc.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), error =>
    error ? reject(error) : resolve(),
  ),
);

const http = Fastify();
http.post('/echo', (request, reply) => {
  last = (last + 1) >>> 0;
  const body = Buffer.from(JSON.stringify(request.body));
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(last, 0);
  body.copy(frame, 4);
  waiting.set(last, answer => void reply.type('application/json').send(answer));
  stream?.write(frame);
});
await http.listen({ path: socket });
process.stderr.write('{"msg":"listening"}\n');
