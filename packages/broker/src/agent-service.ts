import { agentStream, type Hello, type Response, type ServerMsg } from '@coold/proto';
import type { Logger } from '@coold/runtime';
import {
  type handleBidiStreamingCall,
  Metadata,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { AuthError, type Identity, type Verifier } from './auth.ts';
import type { Builds } from './builds.ts';
import { type Incoming, readFrame, writeFrame } from './frames.ts';
import type { HostStream, Hosts } from './hosts.ts';
import type { Pending } from './pending.ts';
import { refuseHello } from './router.ts';
import type { Streams } from './streams.ts';

/** Agent as this end reads and writes it: frames with their size, commands already bytes. */
export const agentService = {
  stream: { ...agentStream, requestDeserialize: readFrame, responseSerialize: (bytes: Buffer) => bytes },
} satisfies ServiceDefinition;

type Call = ServerDuplexStream<Incoming, Buffer>;

/** Commands written for a host and not yet taken by its connection; beyond it a host does not read. */
const maxUnreadBytes = 16 * 1024 * 1024;
/** What one command costs here beside its bytes: its place in queues, its closures. */
const commandBytes = 4096;
const maxCapabilities = 32;

export interface StreamDeps {
  verify: Verifier;
  hosts: Hosts;
  pending: Pending;
  streams: Pick<Streams, 'hear' | 'disconnected'>;
  builds: Pick<Builds, 'connected' | 'disconnected' | 'hear'>;
  log: Logger;
  /** A stream that has not said Hello after this many ms is dropped. */
  helloTimeoutMs: number;
}

/** One call of Agent.Stream, from its token to its end. */
export function handleStream(deps: StreamDeps): handleBidiStreamingCall<Incoming, Buffer> {
  return call => {
    void serve(call, deps).catch((error: unknown) => {
      deps.log.error({ err: error, peer: call.getPeer() }, 'stream failed; it is dropped');
      end(call, status.INTERNAL, 'internal error');
    });
  };
}

async function serve(call: Call, deps: StreamDeps): Promise<void> {
  const log = deps.log;
  const peer = call.getPeer();
  const helloTimer = setTimeout(() => {
    log.warn({ peer }, 'no Hello in time; stream dropped');
    end(call, status.DEADLINE_EXCEEDED, 'no Hello in time');
  }, deps.helloTimeoutMs);
  call.once('cancelled', () => clearTimeout(helloTimer));

  const identity = await authenticate(call, deps);
  if (identity === undefined) {
    clearTimeout(helloTimer);
    return;
  }

  let stream: HostStream | undefined;
  const leave = (why: string) => {
    clearTimeout(helloTimer);
    if (stream === undefined) return;
    const left = stream;
    stream = undefined;
    deps.pending.disconnected(left);
    deps.streams.disconnected(left);
    deps.builds.disconnected(left);
    if (deps.hosts.remove(left)) log.info({ host_id: left.hostId, why }, 'host disconnected');
  };
  call.once('cancelled', () => leave('connection closed'));
  call.once('end', () => {
    leave('host ended the stream');
    call.end();
  });
  const ignored = createTally(log);
  call.on('data', ({ message, bytes }: Incoming) => {
    if (message === undefined) {
      log.warn({ host_id: identity.hostId, peer, bytes }, 'bytes that are no message; stream dropped');
      end(call, status.INVALID_ARGUMENT, 'not a ClientMsg');
      return;
    }
    const { payload } = message;
    switch (payload.case) {
      case 'hello':
        if (stream !== undefined) {
          ignored({ host_id: identity.hostId }, 'second Hello on one stream; ignored');
          return;
        }
        clearTimeout(helloTimer);
        stream = welcome(call, payload.value, identity, deps);
        return;
      case 'response':
        if (stream !== undefined) take(stream, payload.value, bytes, deps, ignored);
        else {
          log.warn({ host_id: identity.hostId, peer }, 'Response before Hello; stream dropped');
          end(call, status.FAILED_PRECONDITION, 'expected Hello first');
        }
        return;
      case undefined:
        ignored({ host_id: identity.hostId }, 'payload of a kind this broker does not know; ignored');
    }
  });
}

async function authenticate(call: Call, { verify, log }: StreamDeps): Promise<Identity | undefined> {
  try {
    const values = call.metadata.get('authorization');
    return await verify(values.length === 1 ? values[0]?.toString() : undefined);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    log.warn({ peer: call.getPeer(), reason: error.message }, 'stream refused');
    end(call, error.kind === 'denied' ? status.PERMISSION_DENIED : status.UNAUTHENTICATED, error.message);
    return undefined;
  }
}

/** Takes a host in by its Hello, or drops the stream and returns undefined. */
function welcome(
  call: Call,
  hello: Hello,
  identity: Identity,
  { hosts, pending, streams, builds, log }: StreamDeps,
): HostStream | undefined {
  const { hostId, caps } = identity;
  const refuse = (code: status, details: string) => {
    log.warn({ host_id: hostId, peer: call.getPeer(), reason: details }, 'Hello refused; stream dropped');
    end(call, code, details);
    return undefined;
  };
  if (hello.capabilities.length > maxCapabilities)
    return refuse(status.INVALID_ARGUMENT, 'too many capabilities');
  if (hello.cooldVersion.length > 64 || hello.hostMgmtIp.length > 64)
    return refuse(status.INVALID_ARGUMENT, 'coold_version and host_mgmt_ip: expected at most 64 characters');
  const notGranted = hello.capabilities.find(name => !caps.includes(name));
  if (notGranted !== undefined)
    return refuse(
      status.PERMISSION_DENIED,
      `capability ${JSON.stringify(notGranted.slice(0, 64))} is not granted by the token`,
    );
  const schemas = refuseHello(hello);
  if (schemas !== undefined) return refuse(status.FAILED_PRECONDITION, schemas);

  const stream = createHostStream(call, hello, hostId);
  const replaced = hosts.add(stream);
  if (replaced !== undefined) {
    log.warn({ host_id: hostId }, 'a second stream of this host replaces the first');
    pending.disconnected(replaced);
    streams.disconnected(replaced);
    replaced.close('replaced');
  }
  // Headers tell the host that it is in: until then its dial has not succeeded.
  call.sendMetadata(new Metadata());
  log.info(
    {
      host_id: hostId,
      peer: call.getPeer(),
      coold_version: hello.cooldVersion,
      schema_max: stream.schemaMax,
      ...(hello.builds.length === 0 ? {} : { builds: hello.builds.length }),
    },
    'host connected',
  );
  const refused = builds.connected(stream, caps.includes('builder') ? hello.builds : []);
  if (refused > 0)
    log.warn({ host_id: hostId, refused }, 'builds that are none, or of another host; they are ignored');
  return stream;
}

function createHostStream(call: Call, hello: Hello, hostId: string): HostStream {
  let unreadBytes = 0;
  const write = (message: ServerMsg) => {
    if (call.writableEnded || call.cancelled) return false;
    const bytes = writeFrame(message);
    const cost = bytes.length + commandBytes;
    unreadBytes += cost;
    call.write(bytes, () => {
      unreadBytes -= cost;
    });
    return true;
  };
  return {
    hostId,
    capabilities: hello.capabilities,
    builderCapacity: hello.builderCapacity,
    cooldVersion: hello.cooldVersion,
    schemaMax: hello.schemaMax || 1,
    connectedAt: new Date(),
    send: message => unreadBytes <= maxUnreadBytes && write(message),
    sendOwed: message => void write(message),
    close(why) {
      if (why === 'replaced') end(call, status.ABORTED, 'replaced by a newer stream of this host');
      else end(call, status.UNAVAILABLE, 'broker is stopping');
    },
  };
}

/** Logs what a stream says that is ignored: the 1st time, the 10th, the 100th, so that no host can fill the log. */
type Tally = (fields: Record<string, unknown>, message: string) => void;

function createTally(log: Logger): Tally {
  const times = new Map<string, number>();
  return (fields, message) => {
    const count = (times.get(message) ?? 0) + 1;
    times.set(message, count);
    if (Number.isInteger(Math.log10(count))) log.warn({ ...fields, times: count }, message);
  };
}

function take(
  stream: HostStream,
  response: Response,
  bytes: number,
  { pending, streams, builds, log }: StreamDeps,
  ignored: Tally,
): void {
  const receipt =
    streams.hear(stream, response) ??
    builds.hear(stream, response, bytes) ??
    pending.answer(stream, response, bytes);
  const fields = { host_id: stream.hostId, request_id: response.requestId.slice(0, 128) };
  switch (receipt) {
    case 'heard':
    case 'delivered':
      return;
    case 'left over':
      // As it must be when a caller hangs up: the host does not know yet.
      log.debug(fields, 'frame of a stream that is over; ignored');
      return;
    case 'landed':
      log.info(fields, 'answer came after its caller had left; it waits for a repeated dispatch');
      return;
    case 'offence':
      log.warn({ ...fields, said: response.body.case }, 'host broke the rules of a stream; it is broken off');
      return;
    case 'out of turn':
    case 'duplicate':
    case 'unknown':
    case 'of another host':
      ignored({ ...fields, receipt }, 'answer that nothing here waits for; ignored');
  }
}

/** Ends a call with a status; its 'cancelled' event follows once that is on the wire. */
function end(call: Call, code: status, details: string): void {
  if (!call.writableEnded && !call.cancelled) call.emit('error', { code, details });
}
