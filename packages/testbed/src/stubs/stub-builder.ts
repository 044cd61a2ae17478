import type { MessageInitShape } from '@bufbuild/protobuf';
import { HostedBuild_State, type ResponseSchema, type ServerMsg } from '@coold/proto';
import { connectStubHost, type StubHost } from './stub-host.ts';
import { playStreams, type StubStream } from './stub-stream.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;

export interface StubBuilderOptions {
  /** `host:port` of a broker's plain listener. */
  address: string;
  token: string;
  /** The number of concurrent builds that it announces. Default 2. */
  capacity?: number;
  schemaMax?: number;
  /** The capabilities in its Hello. Default: coold and builder. */
  capabilities?: string[];
  /** Writes the progress of a build, once for each reader. Without it a reader gets only the end. */
  onEvents?: (stream: StubStream) => void;
}

/**
 * A host with the builder capability whose builds end when a test says so. It keeps them as coold's work folders do,
 * through any number of connections, and names them at each.
 */
export interface StubBuilder {
  /** Its builds with their answers. undefined: the build is under way. */
  builds: Map<string, Body | undefined>;
  /** The builds whose result was acknowledged. */
  read: ReadonlySet<string>;
  /** Every command it was sent, on whatever stream. */
  commands: ServerMsg[];
  /** Resolves once the broker took it in. */
  connect(address?: string): Promise<StubHost>;
  /** Ends a build. The answer is sent at once while it is connected. */
  finish(requestId: string, body: Body): void;
  cut(): void;
}

/** Returns the answer of a successful build, in the form of Response.body. */
export function builtOk(digest: string, durationMs = 1n): Body {
  const value = { digest, registryRef: `localhost/app@${digest}`, durationMs };
  return { case: 'build', value: { body: { case: 'ok', value } } };
}

function playNothing(stream: StubStream): void {
  stream.open();
  stream.end();
}

export function createStubBuilder(options: StubBuilderOptions): StubBuilder {
  const { token, capacity = 2, schemaMax = 2, capabilities = ['coold', 'builder'] } = options;
  const { onEvents = playNothing } = options;
  const builds = new Map<string, Body | undefined>();
  const read = new Set<string>();
  const nonces = new Map<string, string>();
  const commands: ServerMsg[] = [];
  /** A build's answer with the nonce that it was given with. */
  const signed = (requestId: string, body: Body): Body =>
    body.case === 'build'
      ? { case: 'build', value: { ...body.value, nonce: nonces.get(requestId) ?? '' } }
      : body;
  const isMeant = (requestId: string, nonce: string) =>
    nonce === '' || nonce === (nonces.get(requestId) ?? '');
  let host: StubHost | undefined;
  function obey({ requestId, command }: ServerMsg, self: StubHost): void {
    const refuse = (code: number, message: string, nonce: string) =>
      self.respond({ requestId, body: { case: 'error', value: { code, message, nonce } } });
    switch (command.case) {
      case 'build':
        if (builds.has(requestId) && !read.has(requestId)) {
          refuse(409, 'such a build is here', command.value.nonce);
          return;
        }
        builds.set(requestId, undefined);
        nonces.set(requestId, command.value.nonce);
        read.delete(requestId);
        return;
      case 'buildAck':
        if (builds.get(requestId) === undefined || !isMeant(requestId, command.value.nonce)) return;
        if (command.value.remove) builds.delete(requestId);
        else read.add(requestId);
        return;
      case 'buildResult': {
        const body = builds.get(requestId);
        if (!builds.has(requestId) || !isMeant(requestId, command.value.nonce))
          refuse(404, 'no such build', command.value.nonce);
        else if (body !== undefined) self.respond({ requestId, body: signed(requestId, body) });
        return;
      }
      default:
    }
  }

  const play = playStreams(stream => {
    const { command } = stream.command;
    if (command.case !== 'buildEvents') return;
    if (builds.has(command.value.buildId)) onEvents(stream);
    else stream.fail(404, 'no such build');
  }, obey);

  const { RUNNING, FINISHED } = HostedBuild_State;
  return {
    builds,
    read,
    commands,
    async connect(address = options.address) {
      host?.cut();
      host = connectStubHost({
        address,
        token,
        hello: {
          hostMgmtIp: '100.64.0.9',
          cooldVersion: '0.0.0-stub',
          schemaMin: 1,
          schemaMax,
          capabilities,
          builderCapacity: capacity,
          builds:
            schemaMax < 2
              ? []
              : [...builds].map(([requestId, body]) => ({
                  requestId,
                  state: body === undefined ? RUNNING : FINISHED,
                  nonce: nonces.get(requestId) ?? '',
                  wasRead: read.has(requestId),
                })),
        },
        onCommand(message, self) {
          commands.push(message);
          play(message, self);
        },
      });
      await host.accepted;
      return host;
    },
    finish(requestId, body) {
      builds.set(requestId, body);
      host?.respond({ requestId, body: signed(requestId, body) });
    },
    cut: () => host?.cut(),
  };
}
