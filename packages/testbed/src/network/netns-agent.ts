// Runs inside a network namespace and keeps it alive: answers on TCP and UDP ports, and tries to reach others when asked
// on stdin. Ends with its stdin, so that nothing outlives the test that started it.
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

export interface Ask {
  id: number;
  protocol: 'tcp' | 'udp';
  address: string;
  port: number;
  waitMs: number;
}

export interface Told {
  id: number;
  /** The address that the other side saw, null when no answer came in time. */
  seenAs: string | null;
}

const ports = process.argv.slice(2).map(Number);
for (const port of ports) {
  createServer(socket => {
    socket.on('error', () => {});
    socket.end(socket.remoteAddress?.replace('::ffff:', '') ?? '');
  }).listen(port);
  const udp = createSocket('udp4');
  udp.on('message', (_data, peer) => udp.send(peer.address, peer.port, peer.address));
  udp.bind(port);
}

const tell = (told: Told) => process.stdout.write(`${JSON.stringify(told)}\n`);
const input = createInterface({ input: process.stdin });
input.on('line', line => {
  const ask = JSON.parse(line) as Ask;
  let done = (_seenAs: string | null) => {};
  const timer = setTimeout(() => done(null), ask.waitMs);
  const attempt = ask.protocol === 'tcp' ? tryTcp(ask, seen => done(seen)) : tryUdp(ask, seen => done(seen));
  done = seenAs => {
    done = () => {};
    clearTimeout(timer);
    attempt.close();
    tell({ id: ask.id, seenAs });
  };
});
input.on('close', () => process.exit(0));

function tryTcp({ address, port }: Ask, done: (seen: string | null) => void) {
  const socket = connect(port, address);
  socket.once('data', data => done(String(data)));
  socket.once('error', () => done(null));
  return { close: () => socket.destroy() };
}

function tryUdp({ address, port }: Ask, done: (seen: string | null) => void) {
  const socket = createSocket('udp4');
  socket.once('message', data => done(String(data)));
  socket.once('error', () => done(null));
  // A lost first packet is no verdict: ARP may still be on its way.
  const send = () => socket.send('?', port, address, () => {});
  send();
  const again = setInterval(send, 100);
  return {
    close() {
      clearInterval(again);
      socket.close();
    },
  };
}
