import type { X509Certificate } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  brokerFull,
  brokerStopping,
  type Failure,
  hostNotConnected,
  hostNotReading,
  requestIdInFlight,
} from '@coold/errors';
import { ForwardResponseSchema, type Response, ResponseSchema, type Verb } from '@coold/proto';
import { createSampledWarn, type SampledWarn } from '@coold/runtime';
import type { AgentCall, CallEvents } from '../../grpc/agent-call.ts';
import { grpcStatus } from '../../grpc/grpc-status.ts';
import type { Hosts } from '../../hosts/hosts.ts';
import { refuseSchema } from '../../hosts/router.ts';
import type { Streams } from '../../streams/streams.ts';
import type { PeerHandler } from '../link/peer-listener.ts';
import { type RefusedRequest, statusOf } from '../link/refuse-sender.ts';
import { type ForwardedStream, readForwardedStream, verbsByCase } from './forwarded-request.ts';
import { peerRefusal } from './peer-refusal.ts';
import { RelayedStream } from './relayed-stream.ts';
import type { ServeForwardOptions } from './serve-forward.ts';

export interface ServeStreamOptions extends Omit<ServeForwardOptions, 'sendDispatch'> {
  /** The hosts of this broker alone. */
  hosts: Pick<Hosts, 'get'>;
  streams: Pick<Streams, 'relay'>;
}

/**
 * The most bytes of one stream that are written for the other broker and not yet taken by its connection. Output is bounded by
 * credit; this bounds what a host says beside it, such as credits and empty frames.
 */
const maxUnreadBytes = 16 * 1024 * 1024;
/** What one answer costs here beside its bytes. */
const answerBytes = 512;

/** Returns the handler of calls of BrokerPeer.Stream. */
export function serveStream(options: ServeStreamOptions): PeerHandler {
  const byCase = verbsByCase(options.verbs);
  const warnSampled = createSampledWarn(options.log);
  return (call, { certificate }) => {
    call.accept();
    return new ServedStreamCall({ call, certificate, byCase, options, warnSampled });
  };
}

interface ServedStreamCallDeps {
  call: AgentCall;
  certificate: X509Certificate;
  byCase: ReadonlyMap<string, Verb>;
  options: ServeStreamOptions;
  warnSampled: SampledWarn;
}

/** One call of another broker for a stream of a host of this broker. */
class ServedStreamCall implements CallEvents {
  readonly #deps: ServedStreamCallDeps;
  /** Present once the host was sent the command. */
  #stream: RelayedStream | undefined;
  /** What is written and not yet taken by the connection, in bytes. */
  #unreadBytes = 0;

  constructor(deps: ServedStreamCallDeps) {
    this.#deps = deps;
  }

  message(bytes: Buffer): void {
    if (this.#stream === undefined) this.#begin(bytes);
    else if (!this.#stream.pass(bytes))
      this.#refuseRequest({ outcome: 'malformed', why: 'command: expected input, credit or a cancel' });
  }

  finished(): void {
    this.#stream?.abandon();
    this.#deps.call.end(grpcStatus.OK, '');
  }

  closed(): void {
    this.#stream?.abandon();
  }

  #begin(bytes: Buffer): void {
    const { certificate, byCase, options } = this.#deps;
    const { brokerId, checkSender, hosts, count } = options;
    const request = readForwardedStream(bytes, { brokerId, checkSender, certificate }, byCase);
    if ('why' in request) {
      this.#refuseRequest(request);
      return;
    }
    const host = hosts.get(request.hostId);
    if (host === undefined) {
      count('not connected');
      this.#refuse(request.name, hostNotConnected(request.hostId));
      return;
    }
    const aboveSchema = refuseSchema(request.verb, host);
    if (aboveSchema !== undefined) {
      count('schema');
      this.#refuse(request.name, aboveSchema);
      return;
    }
    this.#relay(request, host);
  }

  #relay({ requestId, name, command, credit }: ForwardedStream, host: Parameters<Streams['relay']>[1]): void {
    const { call, options } = this.#deps;
    const asked = options.streams.relay(requestId, host, command, credit, (ownName, onGone) => {
      this.#stream = new RelayedStream({
        name: ownName,
        host,
        credit,
        onGone,
        isUnread: () => this.#unreadBytes > maxUnreadBytes,
        answer: body =>
          this.#write(name, { case: 'response', value: create(ResponseSchema, { requestId: name, body }) }),
        refuse: failure => this.#write(name, { case: 'refusal', value: failure }),
        end: () => call.end(grpcStatus.OK, ''),
      });
      return this.#stream;
    });
    options.count(asked.kind === 'relayed' ? 'streamed' : asked.kind);
    if (asked.kind !== 'relayed') this.#refuse(name, refusals[asked.kind]);
  }

  #write(
    name: string,
    body: { case: 'response'; value: Response } | { case: 'refusal'; value: Failure },
  ): void {
    const answer = body.case === 'response' ? body : { case: body.case, value: peerRefusal(body.value) };
    const bytes = toBinary(
      ForwardResponseSchema,
      create(ForwardResponseSchema, { requestId: name, body: answer }),
    );
    const cost = bytes.length + answerBytes;
    this.#unreadBytes += cost;
    this.#deps.call.write(bytes, () => {
      this.#unreadBytes -= cost;
    });
  }

  /** Answers a request that was understood with a refusal. */
  #refuse(name: string, value: Failure): void {
    this.#write(name, { case: 'refusal', value });
    this.#deps.call.end(grpcStatus.OK, '');
  }

  /** Ends the call of a request that is not taken at all. */
  #refuseRequest({ outcome, why }: RefusedRequest): void {
    const { call, options, warnSampled } = this.#deps;
    options.count(outcome);
    warnSampled({ peer: call.peer, why }, 'a message of another broker was refused');
    call.end(statusOf(outcome), why);
  }
}

const refusals: Record<'stopping' | 'in flight' | 'full' | 'unread', Failure> = {
  stopping: brokerStopping,
  'in flight': requestIdInFlight,
  full: brokerFull,
  unread: hostNotReading,
};
