import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Failure, failure } from '@coold/errors';
import {
  ForwardRequestSchema,
  type ForwardResponse,
  ForwardResponseSchema,
  forwardStreamPath,
  type ServerMsg,
} from '@coold/proto';
import type { StreamCarrier } from '../../hosts/hosts.ts';
import type { Streams } from '../../streams/streams.ts';
import { PeerError } from '../link/peer-call.ts';
import type { PeerLinks } from '../link/peer-links.ts';
import type { PeerStream } from '../link/peer-stream.ts';
import type { HostPlace } from '../routes/route.ts';
import { heldBy, movedAway } from './forward.ts';
import { readPeerRefusal } from './peer-refusal.ts';

/** Written for the other broker and not yet taken by the connection to it; beyond it, it does not read. */
const maxUnreadBytes = 16 * 1024 * 1024;

export interface RemoteStreamDeps {
  brokerId: string;
  links: Pick<PeerLinks, 'to'>;
  /** To whom the host's answers go, and how the way to it ended. */
  streams(): Pick<Streams, 'hear' | 'disconnected'>;
}

/**
 * The way to a host of another broker, for one streamed command: the session with its caller, its credit and its times
 * stay here, and the other broker passes frames on.
 */
export function createRemoteStream({
  brokerId,
  links,
  streams,
}: RemoteStreamDeps): (route: HostPlace) => StreamCarrier {
  return route => {
    const { hostId, brokerId: toBrokerId } = route;
    let call: PeerStream | undefined;
    let unreadBytes = 0;
    const fail = (failure: Failure) => streams().disconnected(carrier, failure);
    const broken = ({ message }: PeerError) =>
      fail(failure('peer_unreachable', `${heldBy(route)}, which ${message}`));

    function hear(bytes: Buffer): void {
      const answer = decode(bytes);
      switch (answer?.body.case) {
        case 'response':
          streams().hear(carrier, answer.body.value);
          return;
        case 'refusal': {
          const refusal = readPeerRefusal(answer.body.value);
          const { code } = refusal;
          if (code === 404) fail(movedAway(route));
          else if (code < 400 || code > 599) fail(bad(route));
          else fail(refusal);
          return;
        }
        case undefined:
          fail(bad(route));
          call?.cancel();
      }
    }

    function begin(): PeerStream | undefined {
      try {
        return links
          .to(route)
          .stream(forwardStreamPath, {
            message: hear,
            ended: error => broken(error ?? new PeerError('broke off', 'ended the stream')),
          });
      } catch (error) {
        // Later: the session that is to hear of it is being made.
        if (error instanceof PeerError) queueMicrotask(() => broken(error));
        else throw error;
        return undefined;
      }
    }

    function write(command: ServerMsg): void {
      const ids = call === undefined ? { fromBrokerId: brokerId, toBrokerId, hostId } : {};
      call ??= begin();
      const bytes = toBinary(ForwardRequestSchema, create(ForwardRequestSchema, { ...ids, command }));
      unreadBytes += bytes.length;
      call?.write(bytes, () => {
        unreadBytes -= bytes.length;
      });
      if (command.command.case === 'streamCancel') call?.finish();
    }

    const carrier: StreamCarrier = {
      hostId,
      send(command) {
        if (unreadBytes > maxUnreadBytes) return false;
        write(command);
        return true;
      },
      sendOwed: write,
    };
    return carrier;
  };
}

function bad(route: HostPlace): Failure {
  return failure('peer_failed', `${heldBy(route)}, which answered nothing that is known here`);
}

function decode(bytes: Buffer): ForwardResponse | undefined {
  try {
    return fromBinary(ForwardResponseSchema, bytes);
  } catch {
    return undefined;
  }
}
