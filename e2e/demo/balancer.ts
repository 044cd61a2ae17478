// `node balancer.ts ADDRESS PORT BACKEND…`: a TCP load balancer that goes to the next backend when one refuses. The demo runs it beside the
// hosts, in front of the brokers.
import { connect, createServer, type Socket } from 'node:net';

const [, , address = '', port = '', ...backends] = process.argv;
const connectMs = 2000;
let turn = 0;

/** @returns a connection to the first backend that accepts one, starting with the next in turn */
async function toBackend(): Promise<Socket | undefined> {
  turn += 1;
  for (const place of backends.keys()) {
    const backend = backends[(turn + place) % backends.length] ?? '';
    const socket = connect({ host: backend, port: Number(port) });
    const { promise: taken, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, connectMs, false);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    const isTaken = await taken;
    clearTimeout(timer);
    if (isTaken) return socket;
    socket.destroy();
  }
  return undefined;
}

const server = createServer({ pauseOnConnect: true }, async client => {
  client.on('error', () => client.destroy());
  const backend = await toBackend();
  if (backend === undefined) return void client.destroy();
  backend.on('error', () => client.destroy());
  for (const [one, other] of [
    [client, backend],
    [backend, client],
  ] as const)
    one.once('close', () => other.destroy());
  client.pipe(backend).pipe(client);
  client.resume();
});
server.listen(Number(port), address);
