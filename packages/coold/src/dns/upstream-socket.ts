import type { Address } from '@coold/runtime';
import { answers } from './exchange.ts';
import type { Lapse, Waiting } from './lapse.ts';
import type { OpenChannel } from './upstream-channel.ts';
import { uint16 } from './wire.ts';

/** One UDP socket to the upstream, on a port that the kernel drew. */
export interface UpstreamSocket {
  /**
   * Asks, and asks again at each step, as many times as it may.
   *
   * @param query is the socket's own from now on: it gets another id
   * @param done is called once, with what is the caller's until it returns; undefined: no answer came, or none can
   * @returns ends it: `done` is not called any more
   */
  ask(query: Buffer, done: (answer: Buffer | undefined) => void): () => void;
  /** Where it asks from; 0: not yet. */
  readonly port: number;
  /** Nothing can be sent from there any more: the next query needs another. */
  readonly isBroken: boolean;
  /** Takes no more queries, and is gone once the last has its answer. */
  retire(): void;
}

export interface UpstreamSocketOptions {
  openChannel: OpenChannel;
  upstream: Address;
  /** Of the time between two tries, and after the last. */
  step: Lapse;
  /** In all, for one query. */
  tries: number;
  /** Of messages. */
  drawId: () => number;
  /** Called before the first query goes out. */
  onOpen(address: number, port: number): void;
  /** A query has waited for a step in vain. */
  onLate?(): void;
}

interface Asked {
  id: number;
  query: Buffer;
  send(): void;
  done(answer: Buffer | undefined): void;
}

export function openUpstreamSocket({
  openChannel,
  upstream,
  step,
  tries,
  drawId,
  onOpen,
  onLate,
}: UpstreamSocketOptions): UpstreamSocket {
  /** Few at a time, of which none is found sooner than by looking at them. */
  const waiting: Asked[] = [];
  let port = 0;
  let isRetired = false;
  let isClosed = false;
  let isBroken = false;

  const broke = (isRefused: boolean) => {
    // Where nothing listens, another socket would not be heard either. All else may be this one's: it keeps the address
    // that the host had when it was connected.
    if (!isRefused) isBroken = true;
  };
  const channel = openChannel(upstream, {
    onOpen(address, from) {
      port = from;
      onOpen(address, from);
      // Copied, as below: one that cannot be sent leaves.
      for (const { send } of [...waiting]) send();
    },
    onMessage(message) {
      if (message.length < 2) return;
      const asked = find(uint16(message, 0));
      if (asked !== undefined && answers(message, asked.query)) asked.done(message);
    },
    // Nothing listens, or the network is gone: what waits here would wait in vain.
    onError(isRefused) {
      broke(isRefused);
      for (const { done } of [...waiting]) done(undefined);
    },
  });
  const find = (id: number) => {
    for (const asked of waiting) if (asked.id === id) return asked;
    return undefined;
  };
  const remove = (asked: Asked) => {
    const index = waiting.indexOf(asked);
    const last = index < 0 ? undefined : waiting.pop();
    if (last !== undefined && last !== asked) waiting[index] = last;
    return index >= 0;
  };
  const close = () => {
    if (!isRetired || isClosed || waiting.length > 0) return;
    isClosed = true;
    channel.close();
  };
  return {
    get port() {
      return port;
    },
    get isBroken() {
      return isBroken;
    },
    ask(query, done) {
      if (isClosed || (isBroken && port === 0)) {
        done(undefined);
        return () => {};
      }
      let id = drawId();
      // Far fewer wait than there are ids.
      while (find(id) !== undefined) id = drawId();
      query.writeUInt16BE(id, 0);
      let lapse: Waiting | undefined;
      let left = tries;
      const failed = (isRefused: boolean) => {
        broke(isRefused);
        asked.done(undefined);
      };
      const asked: Asked = {
        id,
        query,
        send() {
          if (port !== 0) channel.send(query, failed);
        },
        done(answer) {
          if (!remove(asked)) return;
          // First, since somebody waits for it.
          done(answer);
          if (lapse !== undefined) step.end(lapse);
          close();
        },
      };
      waiting.push(asked);
      const onStep = () => {
        onLate?.();
        left -= 1;
        if (left === 0) {
          asked.done(undefined);
          return;
        }
        asked.send();
        if (waiting.includes(asked)) lapse = step.begin(onStep);
      };
      asked.send();
      if (waiting.includes(asked)) lapse = step.begin(onStep);
      return () => {
        if (!remove(asked)) return;
        if (lapse !== undefined) step.end(lapse);
        close();
      };
    },
    retire() {
      isRetired = true;
      close();
    },
  };
}
