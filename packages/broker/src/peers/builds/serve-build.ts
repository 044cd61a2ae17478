import type { X509Certificate } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { failure, hostNotConnected } from '@coold/errors';
import { type BuildAsk, BuildAskSchema, BuildKnowledge, readJsonText } from '@coold/proto';
import { createSampledWarn, type SampledWarn } from '@coold/runtime';
import type { BuildCalls, ResultPoll } from '../../builds/build-calls.ts';
import { type BuildCall, refuseBuild } from '../../builds/build-envelope.ts';
import { readBuildOrder } from '../../builds/build-request.ts';
import type { Builds } from '../../builds/builds.ts';
import type { AgentCall, CallEvents } from '../../grpc/agent-call.ts';
import { grpcStatus } from '../../grpc/grpc-status.ts';
import type { Hosts } from '../../hosts/hosts.ts';
import { buildIdPattern } from '../../hosts/router.ts';
import type { ServeForwardOptions } from '../forward/serve-forward.ts';
import type { PeerHandler } from '../link/peer-listener.ts';
import { type RefusedRequest, refuseSender, statusOf } from '../link/refuse-sender.ts';
import { bodyOfReply, writeBuildAnswer } from './build-answer.ts';

export interface ServeBuildOptions
  extends Pick<ServeForwardOptions, 'brokerId' | 'checkSender' | 'count' | 'log'> {
  /** The calls on the builds of this broker alone, so that no call is passed on twice. */
  calls: BuildCalls;
  builds: Pick<Builds, 'whereIs'>;
  hosts: Pick<Hosts, 'get'>;
}

type AnswerBody = Parameters<typeof writeBuildAnswer>[1];

/** Longer polls are clamped, not refused (docs/contract.md §2). */
const maxTimeoutMs = 300_000;

/** Returns the handler of calls of BrokerPeer.Build. */
export function serveBuild(options: ServeBuildOptions): PeerHandler {
  const warnSampled = createSampledWarn(options.log);
  return (call, { certificate }) => {
    call.accept();
    return new ServedBuildCall(call, certificate, options, warnSampled);
  };
}

/** One call of another broker about a build: its question, the answer, and for a result the word that it was read. */
class ServedBuildCall implements CallEvents {
  readonly #call: AgentCall;
  readonly #certificate: X509Certificate;
  readonly #options: ServeBuildOptions;
  readonly #warnSampled: SampledWarn;
  #isAsked = false;
  /** Present while the call waits for a result, and until the other broker says that it was read. */
  #poll: ResultPoll | undefined;

  constructor(
    call: AgentCall,
    certificate: X509Certificate,
    options: ServeBuildOptions,
    warnSampled: SampledWarn,
  ) {
    this.#call = call;
    this.#certificate = certificate;
    this.#options = options;
    this.#warnSampled = warnSampled;
  }

  message(bytes: Buffer): void {
    if (this.#isAsked) this.#takeFollowUp(bytes);
    else {
      this.#isAsked = true;
      this.#takeQuestion(bytes);
    }
  }

  finished(): void {
    if (!this.#isAsked) this.#call.end(grpcStatus.INVALID_ARGUMENT, 'expected a message');
  }

  closed(): void {
    this.#poll?.close(false);
  }

  #takeQuestion(bytes: Buffer): void {
    const { brokerId, checkSender } = this.#options;
    const ask = decode(bytes);
    if (ask === undefined) {
      this.#refuse({ outcome: 'malformed', why: 'not a BuildAsk' });
      return;
    }
    const refused = refuseSender(ask, { brokerId, checkSender, certificate: this.#certificate });
    if (refused !== undefined) this.#refuse(refused);
    else if (!buildIdPattern.test(ask.requestId))
      this.#refuse({ outcome: 'malformed', why: 'request_id: not of a build' });
    else this.#makeCall(ask);
  }

  #makeCall({ requestId, ask }: BuildAsk): void {
    const { calls } = this.#options;
    switch (ask.case) {
      case 'locate':
        this.#locate(requestId);
        break;
      case 'order':
        this.#dispatch(requestId, ask.value.body);
        break;
      case 'result':
        this.#waitForResult(requestId, ask.value.timeoutMs);
        break;
      case 'cancel':
        this.#conclude(requestId, doneOrRefused(requestId, 'cancel', calls.cancel(requestId)));
        break;
      case 'forget':
        this.#conclude(requestId, doneOrRefused(requestId, 'delete', calls.remove(requestId)));
        break;
      case 'taken':
      case undefined:
        this.#refuse({ outcome: 'malformed', why: 'ask: expected one that this broker knows' });
    }
  }

  /** Says whether this broker has the host or the result of a build. */
  #locate(requestId: string): void {
    const known = this.#options.builds.whereIs(requestId);
    const isHere = known?.stream !== undefined || known?.isAnswered === true;
    const knowledge =
      known === undefined ? BuildKnowledge.UNSPECIFIED : isHere ? BuildKnowledge.HERE : BuildKnowledge.AWAY;
    this.#conclude(requestId, { case: 'place', value: { knowledge, hostId: known?.hostId ?? '' } });
  }

  #dispatch(requestId: string, text: Uint8Array): void {
    const { hosts, calls } = this.#options;
    const order = readOrder(text);
    if ('code' in order) {
      this.#conclude(requestId, bodyOfReply(refuseBuild('dispatch', { ...order, requestId })));
      return;
    }
    const { hostId } = order;
    if (order.requestId !== requestId || hostId === undefined) {
      const why = 'order.body: expected request_id of the ask, and a host_id';
      this.#refuse({ outcome: 'malformed', why });
      return;
    }
    // Not "no builder": the host has moved, and the broker that asks says so.
    const failed = hosts.get(hostId) === undefined ? hostNotConnected(hostId) : calls.dispatch(order);
    this.#conclude(requestId, doneOrRefused(requestId, 'dispatch', failed));
  }

  #waitForResult(requestId: string, timeoutMs: number): void {
    const poll = this.#options.calls.result(requestId, Math.min(timeoutMs, maxTimeoutMs));
    if ('code' in poll) {
      this.#conclude(requestId, doneOrRefused(requestId, 'result', poll));
      return;
    }
    this.#poll = poll;
    // The call stays open: the result counts as unread until `taken` comes.
    void poll.reply.then(reply => {
      if (!this.#call.over) this.#answer(requestId, bodyOfReply(reply));
    });
  }

  /** Takes the word of the other broker that the result was read. */
  #takeFollowUp(bytes: Buffer): void {
    const isTaken = decode(bytes)?.ask.case === 'taken';
    this.#poll?.close(isTaken);
    if (isTaken) this.#call.end(grpcStatus.OK, '');
    else this.#refuse({ outcome: 'malformed', why: 'ask: expected taken' });
  }

  #answer(requestId: string, body: AnswerBody): void {
    this.#options.count('answered');
    this.#call.write(writeBuildAnswer(requestId, body), () => {});
  }

  #conclude(requestId: string, body: AnswerBody): void {
    this.#answer(requestId, body);
    this.#call.end(grpcStatus.OK, '');
  }

  #refuse({ outcome, why }: RefusedRequest): void {
    this.#options.count(outcome);
    this.#warnSampled({ peer: this.#call.peer, why }, 'a message of another broker was refused');
    this.#call.end(statusOf(outcome), why);
  }
}

function doneOrRefused(
  requestId: string,
  stage: BuildCall,
  why: ReturnType<BuildCalls['cancel']>,
): AnswerBody {
  return why === undefined
    ? { case: 'done', value: {} }
    : bodyOfReply(refuseBuild(stage, { requestId, ...why }));
}

function readOrder(text: Uint8Array): ReturnType<typeof readBuildOrder> {
  try {
    return readBuildOrder(readJsonText(Buffer.from(text)));
  } catch {
    return { requestId: '', ...failure('invalid_request', 'body: cannot be read') };
  }
}

function decode(bytes: Buffer): BuildAsk | undefined {
  try {
    return fromBinary(BuildAskSchema, bytes);
  } catch {
    return undefined;
  }
}
