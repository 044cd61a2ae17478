import { create } from '@bufbuild/protobuf';
import { isStreamName, type Response, type ServerMsg, ServerMsgSchema, streamName } from '@coold/proto';
import type { HostStream } from './hosts.ts';
import type { Pending } from './pending.ts';
import { createSession, type Heard, type HostSide, type Session } from './session.ts';

export interface StreamsOptions {
  /** Where ids come from: dispatches and streams share them, and the cap. */
  pending: Pick<Pending, 'hold'>;
  /** Bytes of output that wait for one reader at the most, and what its host is granted at first. */
  windowBytes: number;
  /** How many ms a host has to begin a stream. */
  timeoutMs: number;
}

export type Opened =
  | { kind: 'opening'; session: Session }
  | { kind: 'in flight' | 'full' | 'stopping' | 'unread' };

/** The streamed commands under way, by request id (CONTRACT §2). */
export interface Streams {
  /** Sends a command whose answer is wanted as a stream; 'unread': its host has left too much unread. */
  open(requestId: string, host: HostStream, command: ServerMsg['command']): Opened;
  get(requestId: string): Session | undefined;
  /** By the name that its host knows the stream by. Undefined: an answer that is no stream's. */
  hear(host: HostStream, response: Response): Heard | 'left over' | 'of another host' | undefined;
  /** Its streams end now. */
  disconnected(host: HostStream): void;
  /** Ends all streams; whoever reads them is told why. */
  stop(): void;
  count(): number;
}

interface Live {
  host: HostStream;
  session: Session;
  hostSide: HostSide;
}

export function createStreams({ pending, windowBytes, timeoutMs }: StreamsOptions): Streams {
  const live = new Map<string, Live>();
  const byName = new Map<string, Live>();
  // A lost host fails its streams at once, however many there are of others.
  const byHost = new Map<HostStream, Set<Live>>();
  let begun = 0;

  function ride(entry: Live): void {
    const riding = byHost.get(entry.host);
    if (riding === undefined) byHost.set(entry.host, new Set([entry]));
    else riding.add(entry);
  }

  function alight(entry: Live): void {
    const riding = byHost.get(entry.host);
    riding?.delete(entry);
    if (riding?.size === 0) byHost.delete(entry.host);
  }

  return {
    open(requestId, host, command) {
      const hold = pending.hold(requestId);
      if (hold.kind !== 'held') return hold;
      const stream = { credit: BigInt(windowBytes) };
      begun += 1;
      const name = streamName(requestId, begun);
      if (!host.send(create(ServerMsgSchema, { requestId: name, command, stream }))) {
        hold.release();
        return { kind: 'unread' };
      }
      const onGone = () => {
        live.delete(requestId);
        byName.delete(name);
        alight(entry);
        hold.release();
      };
      const entry: Live = { host, ...createSession({ name, host, windowBytes, timeoutMs, onGone }) };
      live.set(requestId, entry);
      byName.set(name, entry);
      ride(entry);
      return { kind: 'opening', session: entry.session };
    },
    get: requestId => live.get(requestId)?.session,
    hear(host, { requestId: name, body }) {
      const entry = byName.get(name);
      if (entry === undefined) return isStreamName(name) || isOfStreams(body) ? 'left over' : undefined;
      return entry.host === host ? entry.hostSide.hear(body) : 'of another host';
    },
    disconnected(host) {
      for (const { hostSide } of byHost.get(host) ?? []) hostSide.disconnected();
    },
    stop() {
      for (const { hostSide } of live.values()) hostSide.stop();
    },
    count: () => live.size,
  };
}

function isOfStreams({ case: kind }: Response['body']): boolean {
  return kind === 'streamOpened' || kind === 'streamFrame' || kind === 'streamCredit' || kind === 'streamEnd';
}
