import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createMessageReader, framed } from '../src/dns/tcp-frames.ts';

/** An upstream that answers over TCP as a test tells it to. */
export async function startTcpUpstream(
  host: string,
  answer: (query: Buffer) => Buffer,
): Promise<AsyncDisposable & { address: { host: string; port: number } }> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.on(
      'data',
      createMessageReader(query => void socket.write(framed(answer(query)))),
    );
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    address: { host, port: (server.address() as AddressInfo).port },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}
