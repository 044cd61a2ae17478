// Streamed calls as a broker makes them, of containers of a real Podman.
import { join } from 'node:path';
import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ClientMsgSchema,
  jsonCodec,
  type Response,
  readVerbs,
  type ServerMsg,
  ServerMsgSchema,
  StreamFrame_Source,
} from '@coold/proto';
import { scratchFolder, startPodman } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { expect } from 'vitest';
import { createPodman } from '../src/podman/client.ts';
import { createEndProgram } from '../src/processes/end-program.ts';
import { createProcessTable } from '../src/processes/process-table.ts';
import { createServeCommands } from '../src/transport/stream.ts';
import { createStreams } from '../src/transport/streams.ts';
import { containerOutputHandlers } from '../src/verbs/container/container-output.ts';
import { joinSurface } from '../src/verbs/surface.ts';
import { caller, silent } from './caller.ts';

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

export type ContainerStreams = Awaited<ReturnType<typeof startContainerStreams>>;

export const shell = (script: string) => ['/bin/busybox', 'sh', '-c', script];
const enough = 1n << 40n;

/** How a stream ends that nothing went wrong in. */
export const end = (exitCode?: number) => ({
  case: 'streamEnd',
  value: exitCode === undefined ? {} : { exitCode },
});

/** A Podman with container `idle`, and what is asked of it. */
export async function startContainerStreams() {
  const stack = new AsyncDisposableStack();
  const table = createProcessTable();
  const warned: unknown[] = [];
  const folder = stack.use(await scratchFolder());
  const podman = stack.use(await startPodman(join(folder.path, 'podman')));
  const handlers = containerOutputHandlers(
    createPodman(podman.socketPath).containers,
    createEndProgram(table, { ...silent, warn: (...line: unknown[]) => void warned.push(line) }),
  );
  const verbs = new Map([...readVerbs()].filter(([name]) => Object.hasOwn(handlers, name)));
  const image = await podman.ensureTinyImage();
  await podman.runTiny('idle');

  async function libpod(method: 'POST' | 'DELETE', path: string, json?: unknown) {
    const answer = await podman.request({ method, path: `/v4.0.0/libpod/containers/${path}`, json });
    if (answer.status >= 400) throw new Error(answer.text);
    return answer;
  }
  async function run(name: string, script: string, extra: object = {}): Promise<void> {
    await libpod('POST', 'create', { name, image, command: ['sh', '-c', script], ...extra });
    await libpod('POST', `${name}/start`);
  }

  /** One stream to a broker, with one streamed call. */
  function open(name: string, fields: object, credit = enough) {
    const gone = new AbortController();
    const stop = new AbortController();
    const bodies: Response['body'][] = [];
    const streams = createStreams(silent);
    const stopped = streams.task(stop.signal);
    const take = createServeCommands({
      surface: joinSurface(verbs, handlers),
      streams,
      record: () => {},
      log: silent,
    })({
      gone: gone.signal,
      async send(frame) {
        const { payload } = fromBinary(ClientMsgSchema, frame);
        if (payload.case === 'response') bodies.push(payload.value.body);
      },
    });
    const verb = verbs.get(name) ?? expect.fail();
    const command = {
      case: verb.commandCase,
      value: jsonCodec(verb.request).decode(fields),
    } as ServerMsg['command'];
    const message = create(ServerMsgSchema, { requestId: 's', stream: { credit } });
    message.command = command;
    const ended = take(message);
    const say = (next: Command) => take(create(ServerMsgSchema, { requestId: 's', command: next }));
    const bytes = (only?: StreamFrame_Source) =>
      Buffer.concat(
        bodies.flatMap(body =>
          body.case === 'streamFrame' && (only === undefined || body.value.source === only)
            ? [body.value.data]
            : [],
        ),
      );
    return {
      ended,
      bodies,
      bytes,
      text: () => bytes().toString('utf8'),
      errors: () => bytes(StreamFrame_Source.STDERR).toString('utf8'),
      opened: () => soon(() => expect(bodies[0]?.case).toBe('streamOpened')),
      last: () => bodies.at(-1),
      stdin: (data: string | Buffer) =>
        say({ case: 'streamInput', value: { input: { case: 'stdin', value: Buffer.from(data) } } }),
      resize: (cols: number, rows: number) =>
        say({ case: 'streamInput', value: { input: { case: 'resize', value: { cols, rows } } } }),
      eof: () => say({ case: 'streamInput', value: { input: { case: 'eof', value: true } } }),
      credit: (more: number) => say({ case: 'streamCredit', value: { bytes: BigInt(more) } }),
      cancel: () => say({ case: 'streamCancel', value: {} }),
      loseLink: () => gone.abort(),
      async stop() {
        stop.abort();
        await stopped;
      },
    };
  }
  const exec = (cmd: string[], fields: object = {}, credit = enough) =>
    open('containers.exec', { id: 'idle', cmd, ...fields }, credit);
  const logs = (fields: object, credit = enough) => open('containers.logs', fields, credit);

  /** What runs in the container, as seen from inside. */
  async function processes(): Promise<string> {
    const { output } = (await caller(handlers)('containers.exec', {
      id: 'idle',
      cmd: ['/bin/busybox', 'ps'],
    })) as { output: string };
    return output;
  }

  return {
    podman,
    image,
    table,
    warned,
    libpod,
    run,
    open,
    exec,
    logs,
    processes,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
