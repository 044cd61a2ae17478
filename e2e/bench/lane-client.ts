import { createConnection, type Socket } from 'node:net';

/** A connection to a lane that carries one request at a time, with minimal client code. */
export interface LaneConnection {
  /**
   * Posts a JSON text.
   *
   * @returns the body of the answer
   * @throws Error when the status is not 200 or the connection is lost
   */
  post(path: string, json: string): Promise<string>;
  close(): void;
}

/**
 * Opens a kept connection. A full HTTP client would use more CPU than the broker that it measures, and on a machine
 * with two cores the broker would wait for it.
 *
 * @param path of the Unix socket
 */
export async function connectLane(path: string): Promise<LaneConnection> {
  const socket = createConnection(path);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return new Connection(socket);
}

class Connection implements LaneConnection {
  readonly #socket: Socket;
  #unread = '';
  #waiting: PromiseWithResolvers<string> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    // In Latin-1, the length of the string is its length in bytes.
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('error', () => {});
    socket.on('close', () => this.#waiting?.reject(new Error('the lane closed the connection')));
  }

  post(path: string, json: string): Promise<string> {
    if (this.#socket.destroyed) return Promise.reject(new Error('the lane has closed the connection'));
    this.#waiting = Promise.withResolvers<string>();
    this.#socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
    );
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#unread += text;
    const headEnd = this.#unread.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#unread.slice(0, headEnd);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1]);
    const end = headEnd + 4 + length;
    if (this.#unread.length < end) return;
    const body = this.#unread.slice(headEnd + 4, end);
    this.#unread = this.#unread.slice(end);
    if (head.startsWith('HTTP/1.1 200 ')) this.#waiting?.resolve(body);
    else this.#waiting?.reject(new Error(`${head.split('\r\n')[0]}: ${body}`));
  }
}
