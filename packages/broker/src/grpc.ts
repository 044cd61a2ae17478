import type { Address } from '@coold/runtime';
import {
  type handleBidiStreamingCall,
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { agentService } from './agent-service.ts';
import type { Incoming } from './frames.ts';

export interface GrpcListener {
  /** Where it listens; the port is the one the kernel chose when 0 was asked for. */
  address: string;
  /** Lets go of the port and takes no more streams; those that live go on. */
  refuseNew(): void;
  /** Cuts every connection. */
  close(): void;
}

export interface GrpcOptions {
  bind: Address;
  /** PEM texts; undefined: plain HTTP/2. */
  tls: { cert: string; key: string } | undefined;
  handler: handleBidiStreamingCall<Incoming, Buffer>;
  keepalive: Keepalive;
}

/** HTTP/2 PINGs of our own, in ms (CONTRACT §1: every 30 s, given up after 10 s). */
export interface Keepalive {
  everyMs: number;
  timeoutMs: number;
}

/** Above this a frame is not buffered to find whose answer it was, and its stream ends: no coold sends one. */
const maxFrameBytes = 64 * 1024 * 1024;

/** @throws Error when the address cannot be bound or the certificate pair not used */
export async function listenGrpc({ bind, tls, handler, keepalive }: GrpcOptions): Promise<GrpcListener> {
  // Its own lines would stand beside ours, in another form; what it has to say comes as errors too.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    'grpc.keepalive_time_ms': keepalive.everyMs,
    'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
    'grpc.max_receive_message_length': maxFrameBytes,
    'grpc.max_send_message_length': -1,
    'grpc.enable_channelz': 0,
  });
  server.addService(agentService, { stream: handler });
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) },
        ]);
  const host = bind.host.includes(':') ? `[${bind.host}]` : bind.host;
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${bind.port}`, credentials, (error, bound) =>
      error === null
        ? resolve(bound)
        : reject(new Error(`BROKER_GRPC_BIND=${host}:${bind.port}: ${error.message}`, { cause: error })),
    );
  });
  return {
    address: `${host}:${port}`,
    refuseNew: () => server.tryShutdown(() => {}),
    close: () => server.forceShutdown(),
  };
}
