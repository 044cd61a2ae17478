// An upstream that does what a test tells it to: no real resolver can be brought to die, to wait or to forge on demand.
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';

export interface ScriptedUpstream extends AsyncDisposable {
  address: { host: string; port: number };
  /** The queries that came, oldest first. */
  queries: Buffer[];
}

/**
 * For tests.
 *
 * @param answer undefined: nothing is answered now
 * @param port 0: any
 */
export async function startScriptedUpstream(
  host: string,
  answer: (query: Buffer, reply: (answer: Buffer) => void, from: RemoteInfo) => Buffer | undefined,
  port = 0,
): Promise<ScriptedUpstream> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  socket.bind(port, host);
  await once(socket, 'listening');
  const queries: Buffer[] = [];
  let isClosed = false;
  socket.on('message', (query, from) => {
    queries.push(query);
    const reply = (message: Buffer) => {
      if (!isClosed) socket.send(message, from.port, from.address);
    };
    const message = answer(query, reply, from);
    if (message !== undefined) reply(message);
  });
  return {
    address: { host, port: socket.address().port },
    queries,
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      socket.close();
      await once(socket, 'close');
    },
  };
}
