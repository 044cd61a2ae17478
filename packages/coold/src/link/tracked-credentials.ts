import type { Socket } from 'node:net';
import { ChannelCredentials, type ChannelOptions, type experimental } from '@grpc/grpc-js';

type Target = experimental.GrpcUri;

/**
 * Channel credentials that record the connections made with them, so that they can be cut. grpc-js keeps a connection
 * to a silent peer open for as long as the peer likes, even after its channel was closed.
 */
export class TrackedCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  readonly #sockets = new Set<Socket>();

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  /** Cuts every connection that is still open. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(target: Target, options: ChannelOptions): experimental.SecureConnector {
    const connector = this.#inner._createSecureConnector(target, options);
    return {
      connect: socket => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        return connector.connect(socket);
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }
}
