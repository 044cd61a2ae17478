import type { Address } from '@coold/runtime';
import type { Connect, ConnectedSocket } from '@coold/udp-io';
import { uint16 } from '../wire.ts';
import type { DeadlineQueue, Waiting } from './deadline-queue.ts';
import { answers } from './exchange.ts';

export interface UpstreamSocketOptions {
  connect: Connect;
  upstream: Address;
  /** The queue for the time between two tries, and after the last one. */
  step: DeadlineQueue;
  /** The tries of one query. */
  tries: number;
  /** Draws the id of a message. */
  drawId: () => number;
  /** Called before the first query is sent. */
  onOpen(address: number, port: number): void;
  /** Called when a query got no answer for a step. */
  onLate?(): void;
}

/** A query that waits for its answer. */
interface Asked {
  readonly id: number;
  readonly query: Buffer;
  readonly done: (answer: Buffer | undefined) => void;
  readonly onFailed: (isRefused: boolean) => void;
  readonly onStep: () => void;
  triesLeft: number;
  deadline: Waiting | undefined;
}

/** One UDP socket to the upstream, on a port that the kernel draws. */
export class UpstreamSocket {
  readonly #options: UpstreamSocketOptions;
  readonly #connected: ConnectedSocket;
  /** Only few queries wait at a time, so a linear search is the quickest. */
  readonly #waiting: Asked[] = [];
  /** The port that the socket sends from. 0: it is not open yet. */
  #port = 0;
  /** The socket takes no more queries. */
  #isRetired = false;
  #isClosed = false;
  #isBroken = false;

  constructor(options: UpstreamSocketOptions) {
    this.#options = options;
    this.#connected = options.connect(options.upstream, {
      onOpen: (address, port) => {
        this.#port = port;
        options.onOpen(address, port);
        // Copied, because a query that cannot be sent leaves the list.
        for (const asked of [...this.#waiting]) this.#send(asked);
      },
      onMessage: message => {
        if (message.length < 2) return;
        const asked = this.#find(uint16(message, 0));
        if (asked !== undefined && answers(message, asked.query)) this.#end(asked, message);
      },
      // Nothing listens, or the network is gone: the waiting queries would wait in vain.
      onError: isRefused => {
        this.#broke(isRefused);
        for (const asked of [...this.#waiting]) this.#end(asked, undefined);
      },
    });
  }

  /** The port that the socket sends from. 0: it is not open yet. */
  get port(): number {
    return this.#port;
  }

  /** Whether nothing can be sent from this socket any more, so that the next query needs another one. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * Asks, and asks again at each step until the tries are used up.
   *
   * @param query belongs to the socket from now on, which gives it another id
   * @param done called once, with a buffer that is valid until it returns; undefined when no answer came or can come
   * @returns a function that ends the query without calling `done`
   */
  ask(query: Buffer, done: (answer: Buffer | undefined) => void): () => void {
    if (this.#isClosed || (this.#isBroken && this.#port === 0)) {
      done(undefined);
      return () => {};
    }
    const { drawId, tries } = this.#options;
    let id = drawId();
    // There are far more ids than waiting queries.
    while (this.#find(id) !== undefined) id = drawId();
    query.writeUInt16BE(id, 0);
    const asked: Asked = {
      id,
      query,
      done,
      onFailed: isRefused => {
        this.#broke(isRefused);
        this.#end(asked, undefined);
      },
      onStep: () => this.#late(asked),
      triesLeft: tries,
      deadline: undefined,
    };
    this.#waiting.push(asked);
    this.#try(asked);
    return () => {
      if (this.#remove(asked)) this.#forget(asked);
    };
  }

  /** Takes no more queries, and closes the socket once the last one has its answer. */
  retire(): void {
    this.#isRetired = true;
    this.#close();
  }

  #try(asked: Asked): void {
    this.#send(asked);
    if (this.#waiting.includes(asked)) asked.deadline = this.#options.step.begin(asked.onStep);
  }

  #send(asked: Asked): void {
    if (this.#port !== 0) this.#connected.send(asked.query, asked.onFailed);
  }

  #late(asked: Asked): void {
    this.#options.onLate?.();
    asked.triesLeft -= 1;
    if (asked.triesLeft === 0) this.#end(asked, undefined);
    else this.#try(asked);
  }

  #end(asked: Asked, answer: Buffer | undefined): void {
    if (!this.#remove(asked)) return;
    // First, because a client waits for it.
    asked.done(answer);
    this.#forget(asked);
  }

  #forget({ deadline }: Asked): void {
    if (deadline !== undefined) this.#options.step.end(deadline);
    this.#close();
  }

  /**
   * Where nothing listens, another socket would not help. Any other error may concern this socket only: it keeps the
   * address that the host had when it was connected.
   */
  #broke(isRefused: boolean): void {
    if (!isRefused) this.#isBroken = true;
  }

  #find(id: number): Asked | undefined {
    for (const asked of this.#waiting) if (asked.id === id) return asked;
    return undefined;
  }

  #remove(asked: Asked): boolean {
    const index = this.#waiting.indexOf(asked);
    const last = index < 0 ? undefined : this.#waiting.pop();
    if (last !== undefined && last !== asked) this.#waiting[index] = last;
    return index >= 0;
  }

  #close(): void {
    if (!this.#isRetired || this.#isClosed || this.#waiting.length > 0) return;
    this.#isClosed = true;
    this.#connected.close();
  }
}
