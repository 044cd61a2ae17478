import type { ServerMsg } from '@coold/proto';

/** One host's live stream, as the rest of the broker sees it. */
export interface HostStream {
  readonly hostId: string;
  /** Claim `jti` of the token that it came with. */
  readonly tokenId: string | undefined;
  /** Claim `exp` of that token, in ms since 1970. */
  readonly tokenExpiresAt: number;
  /** Claim `iat` of that token, in ms since 1970. */
  readonly tokenIssuedAt?: number | undefined;
  /** The thumbprint of the key that it was signed for. */
  readonly tokenKeyId?: string | undefined;
  readonly capabilities: readonly string[];
  readonly builderCapacity: number;
  readonly cooldVersion: string;
  /** The highest schema that the host speaks. */
  readonly schemaMax: number;
  readonly connectedAt: Date;
  /** Queues a command. Returns false, with nothing queued, when the host has left too much unread. */
  send(message: ServerMsg): boolean;
  /**
   * Queues a credit or the end of a stream, however much is unread: these are bounded by the number of streams and by
   * what the host itself has sent.
   */
  sendOwed(message: ServerMsg): void;
  /** Ends the stream from the broker's side, and tells the host why. */
  close(why: EndReason): void;
}

/** What a streamed command is sent on: its host's stream, or the connection to the broker that has it. */
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
