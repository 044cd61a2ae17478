import { fromBinary } from '@bufbuild/protobuf';
import { type HostsAsk, HostsAskSchema } from '@coold/proto';
import { createSampledWarn } from '@coold/runtime';
import type { HostListing } from '../../builds/host-listing.ts';
import { grpcStatus } from '../../grpc/grpc-status.ts';
import type { ServeForwardOptions } from '../forward/serve-forward.ts';
import type { PeerHandler } from '../link/peer-listener.ts';
import { type RefusedRequest, refuseSender, statusOf } from '../link/refuse-sender.ts';
import { writeHeldHosts } from './held-hosts.ts';

export interface ServeHostsOptions
  extends Pick<ServeForwardOptions, 'brokerId' | 'checkSender' | 'count' | 'log'> {
  /** The hosts of this very broker. */
  list(): readonly HostListing[];
}

/** Serves one call of BrokerPeer.Hosts. */
export function serveHosts({ brokerId, checkSender, list, count, log }: ServeHostsOptions): PeerHandler {
  const warnSampled = createSampledWarn(log);
  return (call, { certificate }) => {
    const refuse = ({ outcome, why }: RefusedRequest) => {
      count(outcome);
      warnSampled({ peer: call.peer, why }, 'a message of another broker was refused');
      call.end(statusOf(outcome), why);
    };
    call.accept();
    return {
      message(bytes) {
        const ask = decode(bytes);
        const refused =
          ask === undefined
            ? ({ outcome: 'malformed', why: 'not a HostsAsk' } as const)
            : refuseSender(ask, { brokerId, checkSender, certificate });
        if (refused !== undefined) {
          refuse(refused);
          return;
        }
        for (const answer of writeHeldHosts(list())) call.write(answer, () => {});
        count('answered');
        call.end(grpcStatus.OK, '');
      },
      finished() {
        call.end(grpcStatus.INVALID_ARGUMENT, 'expected a message');
      },
      closed() {},
    };
  };
}

function decode(bytes: Buffer): HostsAsk | undefined {
  try {
    return fromBinary(HostsAskSchema, bytes);
  } catch {
    return undefined;
  }
}
