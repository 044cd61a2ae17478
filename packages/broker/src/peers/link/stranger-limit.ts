import type { Server, Socket } from 'node:net';
import { connectionKey } from '../../grpc/connections.ts';

/**
 * Bounds the connections that have not shown a certificate yet, since anybody who reaches the port can make them. Beyond `max`
 * the oldest are cut, so that they keep no broker out.
 */
export class StrangerLimit {
  readonly #max: number;
  readonly #onCut: (count: number) => void;
  /** By `connectionKey`, the oldest first. */
  readonly #strangers = new Map<string, Socket>();

  /** @param onCut called with how many there are whenever one is cut */
  constructor(max: number, onCut: (count: number) => void) {
    this.#max = max;
    this.#onCut = onCut;
  }

  /** Follows the connections of a TLS server. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#add(socket));
    server.on('secureConnection', (socket: Socket) => this.#strangers.delete(connectionKey(socket)));
  }

  /** Cuts all of them. */
  close(): void {
    for (const socket of this.#strangers.values()) socket.destroy();
  }

  #add(socket: Socket): void {
    const key = connectionKey(socket);
    this.#strangers.set(key, socket);
    socket.once('close', () => {
      if (this.#strangers.get(key) === socket) this.#strangers.delete(key);
    });
    const [oldest] = this.#strangers;
    if (this.#strangers.size <= this.#max || oldest === undefined) return;
    this.#strangers.delete(oldest[0]);
    oldest[1].destroy();
    this.#onCut(this.#strangers.size);
  }
}
