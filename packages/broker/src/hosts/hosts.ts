import type { ServerMsg } from '@coold/proto';

/** One host's live stream, for the rest of the broker. */
export interface HostStream {
  readonly hostId: string;
  /** Claim `jti` of its token. */
  readonly tokenId: string | undefined;
  /** Claim `exp` of that token, in ms since 1970. */
  readonly tokenExpiresAt: number;
  /** Claim `iat` of that token, in ms since 1970. */
  readonly tokenIssuedAt?: number | undefined;
  /** The thumbprint of the key that signed the token. */
  readonly tokenKeyId?: string | undefined;
  readonly capabilities: readonly string[];
  readonly builderCapacity: number;
  readonly cooldVersion: string;
  /** The highest schema that the host speaks. */
  readonly schemaMax: number;
  readonly connectedAt: Date;
  /** Queues a command. Returns false, with nothing queued, when the host reads too slowly. */
  send(message: ServerMsg): boolean;
  /**
   * Queues a credit or the end of a stream, however much is unread: their number is limited by the number of streams and
   * by what the host itself has sent.
   */
  sendOwed(message: ServerMsg): void;
  /** Ends the stream from the broker's side, and sends the reason to the host. */
  close(why: EndReason): void;
}

/** The channel of a streamed command: its host's stream, or the connection to the broker that has the host. */
export type StreamCarrier = Pick<HostStream, 'hostId' | 'send' | 'sendOwed'>;

/** Why the broker ends a host's stream. */
export type EndReason = 'replaced' | 'stopping' | 'expired' | 'revoked';

/** The connected hosts, one stream each. */
export interface Hosts {
  get(hostId: string): HostStream | undefined;
  list(): HostStream[];
  [Symbol.iterator](): Iterator<HostStream>;
  /** Adds a stream; returns the stream of the same host that it replaces. */
  add(stream: HostStream): HostStream | undefined;
  /** Removes this stream; returns false when another has already replaced it. */
  remove(stream: HostStream): boolean;
}

/** Notified of every host that connects, also when it replaces a stream, and of every host that has left. */
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
