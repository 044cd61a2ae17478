import { type Hello, maxBuilderCapacity, type Response, type ServerMsg } from '@coold/proto';
import { createSampledWarn, type Logger, type SampledWarn } from '@coold/runtime';
import type { Builds } from '../builds/builds.ts';
import type { Pending } from '../dispatch/pending.ts';
import type { AgentCall, CallEvents, CallHandler } from '../grpc/agent-call.ts';
import { readFrame, writeFrame } from '../grpc/frames.ts';
import { type GrpcStatus, grpcStatus, type StatusReason } from '../grpc/grpc-status.ts';
import { budgetLines, type LogLine } from '../grpc/line-budget.ts';
import type { EndReason, HostStream, Hosts } from '../hosts/hosts.ts';
import { refuseHello } from '../hosts/router.ts';
import type { Streams } from '../streams/streams.ts';
import { AuthError, type Identity, type Verifier } from './auth.ts';
import { countOne, type HostCounts, type IgnoredReason, type LeaveReason } from './host-counts.ts';

/** Bytes of commands written for a host that its connection has not taken yet. Beyond this, the host does not read. */
const maxUnreadBytes = 16 * 1024 * 1024;
/** The memory of a command besides its bytes: queue entries and closures. */
const commandBytes = 4096;
const maxCapabilities = 32;
/** The most messages held while a token is verified: a host has no reason to send more than its Hello before. */
const maxEarlyMessages = 16;
/** The most bytes of those messages. */
const maxEarlyBytes = 1024 * 1024;
/** Log lines per second about refused or replaced streams. Any client that reaches the port can cause thousands. */
const refusalLines = 50;
/** Log lines per second about hosts that connect or leave. Status and metrics count all of them. */
const hostLines = 50;

export interface StreamDeps {
  verify: Verifier;
  hosts: Hosts;
  pending: Pending;
  streams: Pick<Streams, 'hear' | 'disconnected'>;
  builds: Pick<Builds, 'connected' | 'disconnected' | 'hear'>;
  counts: HostCounts;
  log: Logger;
  /** A stream without a Hello after this many ms is dropped. */
  helloTimeoutMs: number;
}

/** What all calls of a listener share. */
interface ServeDeps extends StreamDeps {
  /** Logs within a budget, for lines that any client of the port can cause. */
  say: LogLine;
  /** Logs within a budget, for hosts that connect and leave: a fleet that reconnects at once is a few lines. */
  sayHost: LogLine;
}

/** Serves one call of Agent.Stream, from its token to its end. */
export function handleStream(deps: StreamDeps): CallHandler {
  const shared: ServeDeps = {
    ...deps,
    say: budgetLines(deps.log, refusalLines),
    sayHost: budgetLines(deps.log, hostLines),
  };
  return call => {
    const stream = new AgentStream(call, shared);
    void stream.begin().catch((error: unknown) => {
      deps.log.error({ err: error, peer: call.peer }, 'stream failed and was dropped');
      call.end(grpcStatus.INTERNAL, 'internal error');
    });
    return stream;
  };
}

/** Messages that arrive before the token is verified: usually the Hello. */
interface Early {
  messages: Buffer[];
  bytes: number;
  isFinished: boolean;
}

/**
 * The state of a call: its token is being verified (`early` is set), its Hello is awaited (`identity` is set), or its
 * host is connected (`host` is set, until it leaves).
 */
class AgentStream implements CallEvents {
  readonly #call: AgentCall;
  readonly #deps: ServeDeps;
  #early: Early | undefined = { messages: [], bytes: 0, isFinished: false };
  #identity: Identity | undefined;
  #host: HostStream | undefined;
  #helloTimer: NodeJS.Timeout | undefined;
  /** Created on first use, because few streams need it. */
  #warnSampled: SampledWarn | undefined;

  constructor(call: AgentCall, deps: ServeDeps) {
    this.#call = call;
    this.#deps = deps;
    this.#helloTimer = setTimeout(() => this.#refuseLate(), deps.helloTimeoutMs);
  }

  /** Verifies the token, and then handles the messages that arrived meanwhile. */
  async begin(): Promise<void> {
    const known = await authenticate(this.#call, this.#deps);
    const { messages, isFinished } = this.#early ?? noEarly;
    if (known === undefined) return void this.#stopWaiting();
    this.#identity = known;
    this.#early = undefined;
    for (const bytes of messages) if (!this.#call.over) this.#hear(known, bytes);
    if (isFinished && !this.#call.over) this.#finish();
  }

  message(bytes: Buffer): void {
    const early = this.#early;
    if (this.#identity !== undefined) this.#hear(this.#identity, bytes);
    else if (
      early !== undefined &&
      early.messages.length < maxEarlyMessages &&
      early.bytes + bytes.length <= maxEarlyBytes
    ) {
      early.messages.push(Buffer.from(bytes));
      early.bytes += bytes.length;
    } else this.#call.end(grpcStatus.FAILED_PRECONDITION, 'expected Hello, and an answer to it, first');
  }

  finished(): void {
    if (this.#early !== undefined) this.#early.isFinished = true;
    else this.#finish();
  }

  closed(): void {
    this.#leave('closed');
  }

  #hear(identity: Identity, bytes: Buffer): void {
    const { hostId } = identity;
    const { message, bytes: size, isForeign } = readFrame(bytes);
    if (isForeign)
      this.#ignore(
        'another dialect',
        { host_id: hostId },
        'an answer cannot be read: the host seems to speak another dialect of this protocol (flux); its caller gets 500',
      );
    if (message === undefined) return void this.#dropGarbled(hostId, size);
    const { payload } = message;
    switch (payload.case) {
      case 'hello':
        this.#hearHello(identity, payload.value);
        return;
      case 'response':
        if (this.#host === undefined) this.#refuseEarlyResponse(hostId);
        else this.#take(this.#host, payload.value, size);
        return;
      case undefined:
        this.#ignore('unknown payload', { host_id: hostId }, 'ignoring a payload of an unknown kind');
    }
  }

  #hearHello(identity: Identity, hello: Hello): void {
    if (this.#host !== undefined) {
      this.#ignore('second hello', { host_id: identity.hostId }, 'ignoring a second Hello on the stream');
      return;
    }
    this.#stopWaiting();
    this.#host = welcome(this.#call, hello, identity, this.#deps, why => this.#leave(why));
  }

  #leave(reason: LeaveReason): void {
    this.#stopWaiting();
    const left = this.#host;
    if (left === undefined) return;
    this.#host = undefined;
    const { pending, streams, builds, hosts, counts, sayHost } = this.#deps;
    pending.disconnected(left);
    streams.disconnected(left);
    builds.disconnected(left);
    countOne(counts.left, reason);
    if (hosts.remove(left))
      sayHost('info', { host_id: left.hostId, why: leaveTexts[reason] }, 'host disconnected');
  }

  #finish(): void {
    this.#leave('ended');
    this.#call.end(grpcStatus.OK, '');
  }

  #refuseLate(): void {
    const { counts, say } = this.#deps;
    counts.refusedHellos += 1;
    say('warn', { peer: this.#call.peer }, 'no Hello in time; stream dropped');
    this.#call.end(grpcStatus.DEADLINE_EXCEEDED, 'no Hello in time');
  }

  #refuseEarlyResponse(hostId: string): void {
    const { counts, say } = this.#deps;
    counts.refusedHellos += 1;
    say('warn', { host_id: hostId, peer: this.#call.peer }, 'Response before Hello; stream dropped');
    this.#call.end(grpcStatus.FAILED_PRECONDITION, 'expected Hello first');
  }

  #dropGarbled(hostId: string, bytes: number): void {
    this.#deps.say(
      'warn',
      { host_id: hostId, peer: this.#call.peer, bytes },
      'undecodable message; stream dropped',
    );
    this.#leave('garbled');
    this.#call.end(grpcStatus.INVALID_ARGUMENT, 'not a ClientMsg');
  }

  #take(stream: HostStream, response: Response, bytes: number): void {
    const { pending, streams, builds, counts, log } = this.#deps;
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
        // Normal when a caller hangs up, because the host does not know yet.
        log.debug(fields, 'ignoring a frame of a stream that has ended');
        return;
      case 'landed':
        log.info(fields, 'answer came after its caller had left; it is kept for a repeated dispatch');
        return;
      case 'offence':
        countOne(counts.ignored, receipt);
        log.warn(
          { ...fields, said: response.body.case },
          'host broke the rules of a stream; the stream is ended',
        );
        return;
      case 'out of turn':
      case 'duplicate':
      case 'unknown':
      case 'of another host':
        this.#ignore(receipt, { ...fields, receipt }, 'ignoring an answer that no caller waits for');
    }
  }

  /** Counts an ignored message by its reason, and logs some of them. */
  #ignore(reason: IgnoredReason, fields: Record<string, unknown>, message: string): void {
    const { counts, log } = this.#deps;
    countOne(counts.ignored, reason);
    this.#warnSampled ??= createSampledWarn(log);
    this.#warnSampled(fields, message);
  }

  #stopWaiting(): void {
    clearTimeout(this.#helloTimer);
    this.#helloTimer = undefined; // not kept for the months that a stream may live
  }
}

const noEarly: Early = { messages: [], bytes: 0, isFinished: false };

async function authenticate(
  call: AgentCall,
  { verify, counts, say }: ServeDeps,
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

/** Accepts a host by its Hello, or drops the stream and returns undefined. */
function welcome(
  call: AgentCall,
  hello: Hello,
  identity: Identity,
  { hosts, pending, streams, builds, counts, log, say, sayHost }: ServeDeps,
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
    counts.contested.replaced(hostId, call.peer.replace(/:\d+$/, ''));
    say('warn', { host_id: hostId, peer: call.peer }, 'a second stream of this host replaces the first');
    pending.disconnected(replaced);
    streams.disconnected(replaced);
    replaced.close('replaced');
  }
  // The headers tell the host that it is connected; until then its dial has not succeeded.
  call.accept();
  sayHost(
    'info',
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
  { hostId, tokenId, expiresAt, issuedAt, keyId }: Identity,
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
    tokenIssuedAt: issuedAt,
    tokenKeyId: keyId,
    capabilities: knownCapabilities(hello.capabilities),
    // A host that claims more would only attract builds, with the secrets in their requests.
    builderCapacity: Math.min(hello.builderCapacity, maxBuilderCapacity),
    cooldVersion: hello.cooldVersion,
    schemaMax: hello.schemaMax || 1,
    connectedAt: new Date(),
    send: message => unreadBytes <= maxUnreadBytes && write(message),
    sendOwed: message => void write(message),
    close(why) {
      const { code, details } = endings[why];
      // At once, not when the host has read it: a host that reads nothing would keep its place until its connection is
      // cut.
      leave(why);
      call.end(code, details);
    },
  };
}

/** The status and message with which the broker ends a host's stream. */
const endings: Record<EndReason, StatusReason> = {
  replaced: {
    code: grpcStatus.ABORTED,
    details: 'replaced by a newer stream of this host: another machine may use its token',
  },
  stopping: { code: grpcStatus.UNAVAILABLE, details: 'broker is stopping' },
  expired: { code: grpcStatus.UNAUTHENTICATED, details: 'token has expired' },
  revoked: { code: grpcStatus.UNAUTHENTICATED, details: 'token is revoked' },
};

/** The same for the log, also for streams that the broker did not end. */
const leaveTexts: Record<LeaveReason, string> = {
  replaced: endings.replaced.details,
  stopping: endings.stopping.details,
  expired: endings.expired.details,
  revoked: endings.revoked.details,
  ended: 'host ended the stream',
  closed: 'connection closed',
  garbled: 'bytes that are no message',
};

/** The capabilities of most hosts, as one shared list. */
const plainHost: readonly string[] = ['coold'];

function knownCapabilities(named: readonly string[]): readonly string[] {
  return named.length === 1 && named[0] === 'coold' ? plainHost : named;
}
