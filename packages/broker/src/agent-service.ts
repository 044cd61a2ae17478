import { type Hello, maxBuilderCapacity, type Response, type ServerMsg } from '@coold/proto';
import { createTally, type Logger } from '@coold/runtime';
import type { AgentCall, CallEvents, CallHandler } from './agent-call.ts';
import { AuthError, type Identity, type Verifier } from './auth.ts';
import type { Builds } from './builds.ts';
import { readFrame, writeFrame } from './frames.ts';
import { type GrpcStatus, grpcStatus, type StatusReason } from './grpc-status.ts';
import { countOne, type HostCounts, type IgnoredReason, type LeaveReason } from './host-counts.ts';
import type { EndReason, HostStream, Hosts } from './hosts.ts';
import { budgetLines, type LogLine } from './line-budget.ts';
import type { Pending } from './pending.ts';
import { refuseHello } from './router.ts';
import type { Streams } from './streams.ts';

/** Commands written for a host and not yet taken by its connection; beyond it a host does not read. */
const maxUnreadBytes = 16 * 1024 * 1024;
/** What one command costs here beside its bytes: its place in queues, its closures. */
const commandBytes = 4096;
const maxCapabilities = 32;
/** Messages held while a token is verified: a host has no reason to send more than its Hello before it is in. */
const maxEarlyMessages = 16;
/** Of them together. */
const maxEarlyBytes = 1024 * 1024;
/** Lines a second of streams that are refused or replaced: whoever reaches the port makes thousands of them. */
const refusalLines = 50;

export interface StreamDeps {
  verify: Verifier;
  hosts: Hosts;
  pending: Pending;
  streams: Pick<Streams, 'hear' | 'disconnected'>;
  builds: Pick<Builds, 'connected' | 'disconnected' | 'hear'>;
  counts: HostCounts;
  log: Logger;
  /** A stream that has not said Hello after this many ms is dropped. */
  helloTimeoutMs: number;
}

/** `say`: of what anybody can bring about, so much that it does not fill the log. */
type SayingDeps = StreamDeps & { say: LogLine };

/** One call of Agent.Stream, from its token to its end. */
export function handleStream(deps: StreamDeps): CallHandler {
  const saying = { ...deps, say: budgetLines(deps.log, refusalLines) };
  return call => {
    const session = serve(call, saying);
    void session.authenticated.catch((error: unknown) => {
      deps.log.error({ err: error, peer: call.peer }, 'stream failed; it is dropped');
      call.end(grpcStatus.INTERNAL, 'internal error');
    });
    return session;
  };
}

function serve(call: AgentCall, deps: SayingDeps): CallEvents & { authenticated: Promise<void> } {
  const { log, say, counts } = deps;
  let helloTimer: NodeJS.Timeout | undefined = setTimeout(() => {
    counts.refusedHellos += 1;
    say('warn', { peer: call.peer }, 'no Hello in time; stream dropped');
    call.end(grpcStatus.DEADLINE_EXCEEDED, 'no Hello in time');
  }, deps.helloTimeoutMs);
  const stopWaiting = () => {
    clearTimeout(helloTimer);
    helloTimer = undefined; // not kept for the months that a stream may live
  };
  let identity: Identity | undefined;
  /** What came before its token was verified: the Hello, as a rule. */
  let early: Buffer[] = [];
  let earlyBytes = 0;
  let finishedEarly = false;
  let stream: HostStream | undefined;

  const leave = (reason: LeaveReason) => {
    stopWaiting();
    if (stream === undefined) return;
    const left = stream;
    stream = undefined;
    deps.pending.disconnected(left);
    deps.streams.disconnected(left);
    deps.builds.disconnected(left);
    countOne(counts.left, reason);
    if (deps.hosts.remove(left))
      log.info({ host_id: left.hostId, why: leaveTexts[reason] }, 'host disconnected');
  };
  const tally = createTally(log);
  const ignored: Ignore = (reason, fields, message) => {
    countOne(counts.ignored, reason);
    tally(fields, message);
  };
  const hear = (known: Identity, bytes: Buffer) => {
    const { hostId } = known;
    const { message, bytes: size } = readFrame(bytes);
    if (message === undefined) {
      say(
        'warn',
        { host_id: hostId, peer: call.peer, bytes: size },
        'bytes that are no message; stream dropped',
      );
      leave('garbled');
      call.end(grpcStatus.INVALID_ARGUMENT, 'not a ClientMsg');
      return;
    }
    const { payload } = message;
    switch (payload.case) {
      case 'hello':
        if (stream !== undefined) {
          ignored('second hello', { host_id: hostId }, 'second Hello on one stream; ignored');
          return;
        }
        stopWaiting();
        stream = welcome(call, payload.value, known, deps, leave);
        return;
      case 'response':
        if (stream !== undefined) take(stream, payload.value, size, deps, ignored);
        else {
          counts.refusedHellos += 1;
          say('warn', { host_id: hostId, peer: call.peer }, 'Response before Hello; stream dropped');
          call.end(grpcStatus.FAILED_PRECONDITION, 'expected Hello first');
        }
        return;
      case undefined:
        ignored(
          'unknown payload',
          { host_id: hostId },
          'payload of a kind this broker does not know; ignored',
        );
    }
  };
  const finished = () => {
    leave('ended');
    call.end(grpcStatus.OK, '');
  };

  return {
    authenticated: authenticate(call, deps).then(known => {
      if (known === undefined) return stopWaiting();
      identity = known;
      for (const bytes of early) if (!call.over) hear(known, bytes);
      early = [];
      if (finishedEarly && !call.over) finished();
    }),
    message(bytes) {
      if (identity !== undefined) hear(identity, bytes);
      else if (early.length < maxEarlyMessages && earlyBytes + bytes.length <= maxEarlyBytes) {
        early.push(Buffer.from(bytes));
        earlyBytes += bytes.length;
      } else call.end(grpcStatus.FAILED_PRECONDITION, 'expected Hello, and an answer to it, first');
    },
    finished() {
      if (identity === undefined) finishedEarly = true;
      else finished();
    },
    closed: () => leave('closed'),
  };
}

async function authenticate(
  call: AgentCall,
  { verify, counts, say }: SayingDeps,
): Promise<Identity | undefined> {
  try {
    return await verify(call.takeAuthorization());
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    countOne(counts.authFailures, error.reason);
    say('warn', { peer: call.peer, reason: error.message }, 'stream refused');
    const code = error.kind === 'denied' ? grpcStatus.PERMISSION_DENIED : grpcStatus.UNAUTHENTICATED;
    call.end(code, error.message);
    return undefined;
  }
}

/** Takes a host in by its Hello, or drops the stream and returns undefined. */
function welcome(
  call: AgentCall,
  hello: Hello,
  identity: Identity,
  { hosts, pending, streams, builds, counts, log, say }: SayingDeps,
  leave: (why: LeaveReason) => void,
): HostStream | undefined {
  const { hostId, caps } = identity;
  const refuse = (code: GrpcStatus, details: string) => {
    counts.refusedHellos += 1;
    say('warn', { host_id: hostId, peer: call.peer, reason: details }, 'Hello refused; stream dropped');
    call.end(code, details);
    return undefined;
  };
  if (hello.capabilities.length > maxCapabilities)
    return refuse(grpcStatus.INVALID_ARGUMENT, 'too many capabilities');
  if (hello.cooldVersion.length > 64 || hello.hostMgmtIp.length > 64)
    return refuse(
      grpcStatus.INVALID_ARGUMENT,
      'coold_version and host_mgmt_ip: expected at most 64 characters',
    );
  const notGranted = hello.capabilities.find(name => !caps.includes(name));
  if (notGranted !== undefined)
    return refuse(
      grpcStatus.PERMISSION_DENIED,
      `capability ${JSON.stringify(notGranted.slice(0, 64))} is not granted by the token`,
    );
  const schemas = refuseHello(hello);
  if (schemas !== undefined) return refuse(grpcStatus.FAILED_PRECONDITION, schemas);

  const stream = createHostStream(call, hello, identity, leave);
  const replaced = hosts.add(stream);
  counts.connects += 1;
  if (replaced !== undefined) {
    counts.replacements += 1;
    say('warn', { host_id: hostId }, 'a second stream of this host replaces the first');
    pending.disconnected(replaced);
    streams.disconnected(replaced);
    replaced.close('replaced');
  }
  // Headers tell the host that it is in: until then its dial has not succeeded.
  call.accept();
  log.info(
    {
      host_id: hostId,
      peer: call.peer,
      coold_version: hello.cooldVersion,
      schema_max: stream.schemaMax,
      ...(hello.builds.length === 0 ? {} : { builds: hello.builds.length }),
    },
    'host connected',
  );
  const refused = builds.connected(stream, caps.includes('builder') ? hello.builds : []);
  if (refused > 0)
    log.warn({ host_id: hostId, refused }, 'ignoring builds in Hello that this host was not given');
  return stream;
}

function createHostStream(
  call: AgentCall,
  hello: Hello,
  { hostId, tokenId, expiresAt }: Identity,
  leave: (why: LeaveReason) => void,
): HostStream {
  let unreadBytes = 0;
  const write = (message: ServerMsg) => {
    if (call.over) return false;
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
    tokenId,
    tokenExpiresAt: expiresAt,
    capabilities: knownCapabilities(hello.capabilities),
    // What a host claims beyond it would only draw builds, with all that is in their requests.
    builderCapacity: Math.min(hello.builderCapacity, maxBuilderCapacity),
    cooldVersion: hello.cooldVersion,
    schemaMax: hello.schemaMax || 1,
    connectedAt: new Date(),
    send: message => unreadBytes <= maxUnreadBytes && write(message),
    sendOwed: message => void write(message),
    close(why) {
      const { code, details } = endings[why];
      // Now, not when the host has read it: one that reads nothing would keep its place until its connection is cut.
      leave(why);
      call.end(code, details);
    },
  };
}

/** What a host is told when we end its stream. */
const endings: Record<EndReason, StatusReason> = {
  replaced: { code: grpcStatus.ABORTED, details: 'replaced by a newer stream of this host' },
  stopping: { code: grpcStatus.UNAVAILABLE, details: 'broker is stopping' },
  expired: { code: grpcStatus.UNAUTHENTICATED, details: 'token has expired' },
  revoked: { code: grpcStatus.UNAUTHENTICATED, details: 'token is revoked' },
};

/** The same for our log, and what we did not end. */
const leaveTexts: Record<LeaveReason, string> = {
  replaced: endings.replaced.details,
  stopping: endings.stopping.details,
  expired: endings.expired.details,
  revoked: endings.revoked.details,
  ended: 'host ended the stream',
  closed: 'connection closed',
  garbled: 'bytes that are no message',
};

/** The list that most hosts send, once for all of them. */
const plainHost: readonly string[] = ['coold'];

function knownCapabilities(named: readonly string[]): readonly string[] {
  return named.length === 1 && named[0] === 'coold' ? plainHost : named;
}

/** Logs what a stream says that is ignored, now and then, and counts it by its reason. */
type Ignore = (reason: IgnoredReason, fields: Record<string, unknown>, message: string) => void;

function take(
  stream: HostStream,
  response: Response,
  bytes: number,
  { pending, streams, builds, counts, log }: StreamDeps,
  ignored: Ignore,
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
      countOne(counts.ignored, receipt);
      // As it must be when a caller hangs up: the host does not know yet.
      log.debug(fields, 'frame of a stream that is over; ignored');
      return;
    case 'landed':
      log.info(fields, 'answer came after its caller had left; it waits for a repeated dispatch');
      return;
    case 'offence':
      countOne(counts.ignored, receipt);
      log.warn({ ...fields, said: response.body.case }, 'host broke the rules of a stream; it is broken off');
      return;
    case 'out of turn':
    case 'duplicate':
    case 'unknown':
    case 'of another host':
      ignored(receipt, { ...fields, receipt }, 'answer that nothing here waits for; ignored');
  }
}
