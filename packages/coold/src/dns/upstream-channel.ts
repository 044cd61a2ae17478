import type { Address } from '@coold/runtime';

/** A UDP socket that is connected to the upstream: the kernel drops what comes from any other address. */
export interface UpstreamChannel {
  /** @param onFailed is called at most once, when it is known not to have gone out, with what `onError` is told */
  send(message: Buffer, onFailed: (isRefused: boolean) => void): void;
  close(): void;
}

export interface ChannelEvents {
  /** Only then may something be sent. @param address where it asks from: IPv4, as a number; 0: another */
  onOpen(address: number, port: number): void;
  /** @param message is the caller's until this returns */
  onMessage(message: Buffer): void;
  /**
   * No answer will come to what was sent, or nothing can be sent at all.
   *
   * @param isRefused nothing listens there; else it may be this socket's own trouble
   */
  onError(isRefused: boolean): void;
}

/** Opens one on a port that the kernel draws, at once or later: `onOpen` is called, or `onError`. */
export type OpenChannel = (upstream: Address, events: ChannelEvents) => UpstreamChannel;
