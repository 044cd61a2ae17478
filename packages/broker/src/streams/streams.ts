import { create } from '@bufbuild/protobuf';
import type { Failure } from '@coold/errors';
import { isStreamName, type Response, type ServerMsg, ServerMsgSchema, streamName } from '@coold/proto';
import type { Pending } from '../dispatch/pending.ts';
import type { StreamCarrier } from '../hosts/hosts.ts';
import { createSession, type Heard, type HostSide, type Session } from './session.ts';

export interface StreamsOptions {
  /** The source of ids, which dispatches and streams share, together with the cap. */
  pending: Pick<Pending, 'hold'>;
  /** The most bytes of output that wait for one reader, and the first grant to its host. */
  windowBytes: number;
  /** How long a host may take to begin a stream, in ms. */
  timeoutMs: number;
}

export type Opened =
  | { kind: 'opening'; session: Session }
  | { kind: 'in flight' | 'full' | 'stopping' | 'unread' };

/** The streamed commands under way, by request id (docs/contract.md §2). */
export interface Streams {
  /** Sends a command whose answer is a stream. 'unread': the host reads too slowly. */
  open(requestId: string, host: StreamCarrier, command: ServerMsg['command']): Opened;
  /**
   * Does the same for a caller of another broker, which has the session: messages of the host go to the host side of
   * `make`, which calls `onGone` at the end.
   *
   * @param credit bytes that the host may send at first
   */
  relay(
    requestId: string,
    host: StreamCarrier,
    command: ServerMsg['command'],
    credit: bigint,
    make: (name: string, onGone: () => void) => HostSide,
  ): { kind: 'relayed' } | Exclude<Opened, { kind: 'opening' }>;
  get(requestId: string): Session | undefined;
  /** Handles a host's message, by the name of its stream. Undefined: the message belongs to no stream. */
  hear(host: StreamCarrier, response: Response): Heard | 'left over' | 'of another host' | undefined;
  /** Ends the host's streams. @param why the reason, if it is another than that the host has left */
  disconnected(host: StreamCarrier, why?: Failure): void;
  /** Ends all streams, and tells their readers the reason. */
  stop(): void;
  count(): number;
}

interface Live {
  host: StreamCarrier;
  /** Undefined: another broker has the session. */
  session: Session | undefined;
  hostSide: HostSide;
}

export function createStreams({ pending, windowBytes, timeoutMs }: StreamsOptions): Streams {
  const live = new Map<string, Live>();
  const byName = new Map<string, Live>();
  // By host, so that a lost host fails its streams at once, however many others there are.
  const byHost = new WeakMap<StreamCarrier, Set<Live>>();
  let begun = 0;

  function attach(entry: Live): void {
    const attached = byHost.get(entry.host);
    if (attached === undefined) byHost.set(entry.host, new Set([entry]));
    else attached.add(entry);
  }

  function begin<T extends Pick<Live, 'session' | 'hostSide'>>(
    requestId: string,
    host: StreamCarrier,
    { command, credit }: { command: ServerMsg['command']; credit: bigint },
    make: (name: string, onGone: () => void) => T,
  ): { kind: 'begun'; made: T } | Exclude<Opened, { kind: 'opening' }> {
    const hold = pending.hold(requestId);
    if (hold.kind !== 'held') return hold;
    begun += 1;
    const name = streamName(requestId, begun);
    if (!host.send(create(ServerMsgSchema, { requestId: name, command, stream: { credit } }))) {
      hold.release();
      return { kind: 'unread' };
    }
    const onGone = () => {
      live.delete(requestId);
      byName.delete(name);
      byHost.get(host)?.delete(entry);
      hold.release();
    };
    const made = make(name, onGone);
    const entry: Live = { host, session: made.session, hostSide: made.hostSide };
    live.set(requestId, entry);
    byName.set(name, entry);
    attach(entry);
    return { kind: 'begun', made };
  }

  return {
    open(requestId, host, command) {
      const asked = { command, credit: BigInt(windowBytes) };
      const opened = begin(requestId, host, asked, (name, onGone) =>
        createSession({ name, host, windowBytes, timeoutMs, onGone }),
      );
      return opened.kind === 'begun' ? { kind: 'opening', session: opened.made.session } : opened;
    },
    relay(requestId, host, command, credit, make) {
      const opened = begin(requestId, host, { command, credit }, (name, onGone) => ({
        session: undefined,
        hostSide: make(name, onGone),
      }));
      return opened.kind === 'begun' ? { kind: 'relayed' } : opened;
    },
    get: requestId => live.get(requestId)?.session,
    hear(host, { requestId: name, body }) {
      const entry = byName.get(name);
      if (entry === undefined) return isStreamName(name) || isOfStreams(body) ? 'left over' : undefined;
      return entry.host === host ? entry.hostSide.hear(body) : 'of another host';
    },
    disconnected(host, why) {
      // Copied, because a relayed stream removes itself as soon as it has ended.
      for (const { hostSide } of [...(byHost.get(host) ?? [])]) hostSide.disconnected(why);
    },
    stop() {
      for (const { hostSide } of [...live.values()]) hostSide.stop();
    },
    count: () => live.size,
  };
}

function isOfStreams({ case: kind }: Response['body']): boolean {
  return kind === 'streamOpened' || kind === 'streamFrame' || kind === 'streamCredit' || kind === 'streamEnd';
}
