import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Address } from '@coold/runtime';
import { answers, withId } from './exchange.ts';
import type { Lapse } from './lapse.ts';

/** One UDP socket to the upstream, on a port that the kernel drew. */
export interface UpstreamSocket {
  /**
   * Asks, and asks once more when half the time has passed.
   *
   * @param done is called once; undefined: no answer came, or none can
   */
  ask(query: Buffer, done: (answer: Buffer | undefined) => void): void;
  /** Where it asks from. */
  readonly address: string;
  readonly port: number;
  /** Nothing can be sent from there any more: the next query needs another. */
  readonly isBroken: boolean;
  /** Takes no more queries, and is gone once the last has its answer. */
  retire(): void;
}

interface Asked {
  query: Buffer;
  done(answer: Buffer | undefined): void;
}

/**
 * Opens a socket that is connected: the kernel drops what comes from any other address than the upstream's, and says when
 * nothing listens there.
 *
 * @param half of the time that a query may take
 * @throws Error when there is no way to the upstream
 */
export async function openUpstreamSocket(upstream: Address, half: Lapse): Promise<UpstreamSocket> {
  const socket = await connected(upstream);
  const local = socket.address();
  const byId = new Map<number, Asked>();
  let isRetired = false;
  let isClosed = false;
  let isBroken = false;

  const broke = ({ code }: NodeJS.ErrnoException) => {
    // Where nothing listens, another socket would not be heard either. All else may be this one's: it keeps the address
    // that the host had when it was connected.
    if (code !== 'ECONNREFUSED') isBroken = true;
  };
  const close = () => {
    if (!isRetired || isClosed || byId.size > 0) return;
    isClosed = true;
    socket.close();
  };
  socket.on('message', message => {
    if (message.length < 2) return;
    const asked = byId.get(message.readUInt16BE(0));
    if (asked !== undefined && answers(message, asked.query)) asked.done(message);
  });
  // Nothing listens, or the network is gone: what waits here would wait in vain.
  socket.on('error', error => {
    broke(error);
    for (const { done } of [...byId.values()]) done(undefined);
  });
  return {
    address: plain(local.address),
    port: local.port,
    get isBroken() {
      return isBroken;
    },
    ask(query, done) {
      if (isClosed) {
        done(undefined);
        return;
      }
      const id = freeId(byId);
      const sent = withId(query, id);
      const send = () =>
        socket.send(sent, error => {
          if (error === null) return;
          broke(error);
          finish(undefined);
        });
      const finish = (answer: Buffer | undefined) => {
        if (byId.get(id) !== asked) return;
        byId.delete(id);
        half.end(waiting);
        done(answer);
        close();
      };
      const asked: Asked = { query: sent, done: finish };
      let waiting = half.begin(() => {
        send();
        waiting = half.begin(() => finish(undefined));
      });
      byId.set(id, asked);
      send();
    },
    retire() {
      isRetired = true;
      close();
    },
  };
}

/** An IPv4 address also where the socket is one of IPv6. */
function plain(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

function connected({ host, port }: Address): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const fail = (error: Error) => {
      socket.close();
      reject(error);
    };
    socket.once('error', fail);
    // Called back with the error too, such as that no route leads there: it is not emitted then.
    socket.connect(port, host, (error?: Error) => {
      socket.off('error', fail);
      if (error) fail(error);
      else resolve(socket);
    });
  });
}

function freeId(taken: ReadonlyMap<number, unknown>): number {
  // Far fewer wait than there are ids.
  for (;;) {
    const id = randomInt(0x10000);
    if (!taken.has(id)) return id;
  }
}
