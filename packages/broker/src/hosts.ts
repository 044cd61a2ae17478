import type { ServerMsg } from '@coold/proto';

/** One host's live stream, as the rest of the broker sees it. */
export interface HostStream {
  readonly hostId: string;
  /** Claim `jti` of the token that it came with. */
  readonly tokenId: string | undefined;
  /** Claim `exp` of that token, in ms since 1970. */
  readonly tokenExpiresAt: number;
  readonly capabilities: readonly string[];
  readonly builderCapacity: number;
  readonly cooldVersion: string;
  /** Highest schema the host speaks. */
  readonly schemaMax: number;
  readonly connectedAt: Date;
  /** Queues a command; false when the host has left too much unread, and nothing was queued. */
  send(message: ServerMsg): boolean;
  /**
   * Queues what a live stream owes its host, a credit or its end, however much is unread: there is no more of it than
   * streams, and than the host itself has sent.
   */
  sendOwed(message: ServerMsg): void;
  /** Ends the stream from our side; the host is told why. */
  close(why: EndReason): void;
}

/** What a streamed command rides on: its host's stream, or the way to the broker that has it. */
export type StreamCarrier = Pick<HostStream, 'hostId' | 'send' | 'sendOwed'>;

/** Why we end a host's stream. */
export type EndReason = 'replaced' | 'stopping' | 'expired' | 'revoked';

/** The hosts that are connected now, one stream each. */
export interface Hosts {
  get(hostId: string): HostStream | undefined;
  list(): HostStream[];
  [Symbol.iterator](): Iterator<HostStream>;
  /** Puts a stream in its host's place; returns the one it replaced, which is no longer found. */
  add(stream: HostStream): HostStream | undefined;
  /** Takes this very stream out; false when another has replaced it meanwhile. */
  remove(stream: HostStream): boolean;
}

/** Is told of every host that comes, in place of a former stream too, and of every one that has left. */
export interface HostWatch {
  added(stream: HostStream): void;
  removed(hostId: string): void;
}

export function createHosts(watch?: HostWatch): Hosts {
  const streams = new Map<string, HostStream>();
  return {
    get: hostId => streams.get(hostId),
    list: () => [...streams.values()],
    [Symbol.iterator]: () => streams.values(),
    add(stream) {
      const replaced = streams.get(stream.hostId);
      streams.set(stream.hostId, stream);
      watch?.added(stream);
      return replaced;
    },
    remove(stream) {
      if (streams.get(stream.hostId) !== stream) return false;
      streams.delete(stream.hostId);
      watch?.removed(stream.hostId);
      return true;
    },
  };
}
