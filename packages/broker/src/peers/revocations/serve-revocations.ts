import { randomUUID } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { RevocationsRequestSchema, RevocationsResponseSchema } from '@coold/proto';
import { createSampledWarn } from '@coold/runtime';
import type { AgentCall } from '../../grpc/agent-call.ts';
import { grpcStatus } from '../../grpc/grpc-status.ts';
import { brokerId } from '../../hosts/host-id.ts';
import type { ServeForwardOptions } from '../forward/serve-forward.ts';
import { peerAddress } from '../link/peer-address.ts';
import type { PeerHandler } from '../link/peer-listener.ts';
import { type RefusedRequest, refuseSender, statusOf } from '../link/refuse-sender.ts';
import type { PeerPlace } from '../membership/peer-places.ts';
import type { SharedRevocations } from './shared-list.ts';

export interface ServeRevocationsOptions
  extends Pick<ServeForwardOptions, 'brokerId' | 'checkSender' | 'log'> {
  shared: SharedRevocations;
  /** Told of every broker that asks. */
  heard(peer: PeerPlace): void;
  /** Who waits for a change is answered once this fires. */
  stopped: AbortSignal;
}

/** Of one answer: 64 KiB of ids as they are minted, and a quarter of a megabyte of the longest. */
const mostChanges = 1000;
/** Longer than that nobody is left waiting, in ms: a caller who has gone is noticed by it. */
const maxWaitMs = 20_000;
/** Of the caller's time this much is kept for the way back, in ms. */
const wayBackMs = 2000;

/** Serves calls of BrokerPeer.Revocations. */
export function serveRevocations(options: ServeRevocationsOptions): PeerHandler {
  const { brokerId: ownId, checkSender, shared, heard, stopped, log } = options;
  const warnSampled = createSampledWarn(log);
  const epoch = randomUUID();

  const respond = (call: AgentCall, seen: number) => {
    const { changes, seen: upTo } = shared.since(seen, mostChanges);
    const response = create(RevocationsResponseSchema, {
      epoch,
      seen: BigInt(upTo),
      changes: changes.map(change => ({ ...change, version: BigInt(change.version) })),
    });
    call.write(toBinary(RevocationsResponseSchema, response), () => call.end(grpcStatus.OK, ''));
  };

  return (call, { certificate, timeoutMs = 0 }) => {
    const gone = new AbortController();
    let isAsked = false;
    const refuse = ({ outcome, why }: RefusedRequest) => {
      warnSampled({ peer: call.peer, why }, 'what another broker asked of revoked tokens is not answered');
      call.end(statusOf(outcome), why);
    };

    async function answer(bytes: Buffer): Promise<void> {
      const request = decode(bytes);
      if (request === undefined) return refuse({ outcome: 'malformed', why: 'not a RevocationsRequest' });
      const { fromBrokerId, fromAddress: address } = request;
      const refused = refuseSender(request, {
        brokerId: ownId,
        certificate,
        // Not where Corrosion says: a host that can write there must not keep others from hearing that it is revoked.
        checkSender: (id, shown) => checkSender(id, shown, address),
      });
      if (refused !== undefined) return refuse(refused);
      if (brokerId.parse(fromBrokerId) !== undefined && peerAddress.parse(address) !== undefined)
        heard({ brokerId: fromBrokerId, address });
      const seen = request.epoch === epoch ? Number(request.seen) : 0;
      const announced = shared.changed.count();
      if (shared.since(seen, 1).changes.length === 0) {
        const waitMs = Math.max(0, Math.min(maxWaitMs, timeoutMs - wayBackMs));
        await shared.changed.later(announced, waitMs, AbortSignal.any([gone.signal, stopped]));
      }
      if (!call.over) respond(call, seen);
    }

    call.accept();
    return {
      message(bytes) {
        if (isAsked) call.end(grpcStatus.INVALID_ARGUMENT, 'expected one message');
        else void answer(bytes);
        isAsked = true;
      },
      finished() {
        if (!isAsked) call.end(grpcStatus.INVALID_ARGUMENT, 'expected one message');
      },
      closed: () => gone.abort(),
    };
  };
}

function decode(bytes: Buffer) {
  try {
    return fromBinary(RevocationsRequestSchema, bytes);
  } catch {
    return undefined;
  }
}
