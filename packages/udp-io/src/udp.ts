import type { Address } from '@coold/runtime';

/** The other end of a datagram. */
export interface Peer {
  /** IPv4, as a number. */
  address: number;
  /** Never 0: datagrams from port 0 are dropped, because nothing can be sent back to it. */
  port: number;
}

/** A socket that is bound to one address and exchanges datagrams with any peer. */
export interface BoundSocket {
  readonly port: number;
  /** Aborts when the socket broke by itself; the reason is the error. */
  readonly failed: AbortSignal;
  /**
   * Sends a datagram. What is sent on a socket while its `OnDatagram` runs may go out together with the rest of the batch, in
   * one system call. What the kernel does not take is lost, as it may be on the way. A closed socket sends nothing.
   *
   * @param bytes are the caller's again once this returns
   */
  send(bytes: Buffer, to: Peer): void;
  /** Closes the socket. Its address is free once this returns. */
  close(): void;
}

/**
 * Is called for each datagram of a batch in turn.
 *
 * @param bytes are overwritten once this returns
 * @param socket the one that received it
 */
export type OnDatagram = (bytes: Buffer, from: Peer, socket: Pick<BoundSocket, 'send'>) => void;

/** A socket that is connected to one address: the kernel drops what comes from any other. */
export interface ConnectedSocket {
  /**
   * @param message is the caller's again once this returns
   * @param onFailed is called at most once, when it is known not to have gone out, with what `onError` is told
   */
  send(message: Buffer, onFailed: (isRefused: boolean) => void): void;
  close(): void;
}

export interface ConnectedEvents {
  /** Only then may something be sent. @param address the socket's own: IPv4, as a number; 0: another */
  onOpen(address: number, port: number): void;
  /** @param message is overwritten once this returns */
  onMessage(message: Buffer): void;
  /**
   * No answer will come to what was sent, or nothing can be sent at all.
   *
   * @param isRefused nothing listens there; else the socket itself may be unusable
   */
  onError(isRefused: boolean): void;
}

/** Opens a socket on a port that the kernel draws, at once or later: `onOpen` is called, or `onError`. */
export type Connect = (to: Address, events: ConnectedEvents) => ConnectedSocket;

/** The UDP sockets of one thread. */
export interface Udp {
  /**
   * Binds a socket to an IPv4 address.
   *
   * @param isShared other threads of this process bind the same address: the kernel gives each peer to one of them
   * @throws Error with the system's code when the address cannot be bound
   */
  bind(address: Address, isShared: boolean, onDatagram: OnDatagram): Promise<BoundSocket>;
  connect: Connect;
  /** Closes every socket. */
  close(): void;
}

/** Of each bound socket, each way, in bytes: with the kernel's default, what arrives during a pause of some ms is lost. */
export const socketBufferBytes = 4 * 1024 * 1024;
