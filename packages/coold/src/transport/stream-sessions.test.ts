import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { VerbError } from '@coold/errors';
import {
  ClientMsgSchema,
  ContainersExecRequestSchema,
  ContainersExecResponseSchema,
  type Response,
  readVerbs,
  ServerMsgSchema,
} from '@coold/proto';
import { describe, expect, it, vi } from 'vitest';
import { silent as log } from '../../test/caller.ts';
import { handler, type StreamEnding, type StreamIo, streamForm } from '../handler.ts';
import type { Call } from '../verbs/calls.ts';
import { joinSurface } from '../verbs/surface.ts';
import { createServeCommands } from './stream.ts';
import { createStreams } from './streams.ts';

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

/** The commands of one stream to a broker, with containers.exec as a test has it. */
function lane(run: (io: StreamIo) => Promise<StreamEnding>, { takesInput = true, max = 10 } = {}) {
  const form = streamForm(ContainersExecRequestSchema, takesInput, (_request, io) => run(io));
  const bounded = handler(ContainersExecRequestSchema, ContainersExecResponseSchema, () =>
    Promise.resolve({ output: 'bounded' }),
  );
  const verbs = new Map(
    [...readVerbs()].flatMap(([name, verb]) =>
      name === 'containers.exec' ? [[name, { ...verb, takesInput }] as const] : [],
    ),
  );
  const gone = new AbortController();
  const calls: Call[] = [];
  const answers: Response['body'][] = [];
  const taken: (() => void)[] = [];
  let holding = false;
  const take = createServeCommands({
    surface: joinSurface(verbs, { 'containers.exec': { ...bounded, stream: form } }),
    streams: createStreams(log, max),
    record: call => calls.push(call),
    log,
  })({
    gone: gone.signal,
    send(frame) {
      const { payload } = fromBinary(ClientMsgSchema, frame);
      if (payload.case === 'response') answers.push(payload.value.body);
      return holding ? new Promise(resolve => taken.push(resolve)) : Promise.resolve();
    },
  });
  return {
    gone,
    calls,
    answers,
    cases: () => answers.map(body => body.case),
    data: () =>
      answers
        .flatMap(body => (body.case === 'streamFrame' ? [Buffer.from(body.value.data).toString()] : []))
        .join(''),
    say: (command: Command, requestId = 's~1') => take(create(ServerMsgSchema, { requestId, command })),
    open: (credit: bigint, requestId = 's~1') =>
      take(
        create(ServerMsgSchema, {
          requestId,
          command: { case: 'containersExec', value: {} },
          stream: { credit },
        }),
      ),
    plain: (requestId = 's~1') =>
      take(create(ServerMsgSchema, { requestId, command: { case: 'containersExec', value: {} } })),
    /** The connection takes nothing more until it is let go. */
    hold() {
      holding = true;
      return () => {
        holding = false;
        for (const release of taken.splice(0)) release();
      };
    },
  };
}

const stdout = (text: string) => ({ stream: 'stdout' as const, data: Buffer.from(text) });
const untilAborted = (io: StreamIo) =>
  new Promise<never>((_, reject) => {
    const cutOff = () => reject(new Error('cut off'));
    if (io.signal.aborted) cutOff();
    io.signal.addEventListener('abort', cutOff);
  });
const turns = () => new Promise(resolve => setImmediate(resolve));

describe('a streamed call', () => {
  it('opens, sends frames and ends, and is put down at its end', async () => {
    const it = lane(async io => {
      await io.opened();
      await io.write(stdout('a'));
      await io.write({ stream: 'stderr', data: Buffer.from('b') });
      return { exitCode: 3 };
    });
    await it.open(100n);
    expect(it.answers).toMatchObject([
      { case: 'streamOpened', value: { credit: 262_144n } },
      { case: 'streamFrame', value: { source: 1, data: Buffer.from('a') } },
      { case: 'streamFrame', value: { source: 2, data: Buffer.from('b') } },
      { case: 'streamEnd', value: { exitCode: 3 } },
    ]);
    expect(it.calls).toEqual([
      {
        requestId: 's',
        verb: 'containers.exec',
        transport: 'stream',
        status: 200,
        durationMs: expect.any(Number) as number,
      },
    ]);
  });

  it('fails before it opens or afterwards', async () => {
    const refused = lane(() => Promise.reject(new VerbError('not_found', 'none', { field: 'id' })));
    await refused.open(1n);
    expect(refused.answers).toMatchObject([{ case: 'error', value: { code: 404, field: 'id' } }]);
    const broken = lane(async io => {
      await io.opened();
      throw new VerbError('podman_failed', 'gone');
    });
    await broken.open(1n);
    expect(broken.cases()).toEqual(['streamOpened', 'error']);
    expect(broken.calls).toMatchObject([{ status: 502 }]);
  });

  it('reads no further than it has credit for', async () => {
    const written = vi.fn();
    const it = lane(async io => {
      await io.opened();
      for (const text of ['abc', 'def', 'ghi']) {
        await io.write(stdout(text));
        written();
      }
      return {};
    });
    const done = it.open(4n);
    await turns();
    expect([it.data(), written.mock.calls.length]).toEqual(['abcd', 1]);
    await it.say({ case: 'streamCredit', value: { bytes: 3n } });
    await turns();
    expect([it.data(), written.mock.calls.length]).toEqual(['abcdefg', 2]);
    await it.say({ case: 'streamCredit', value: { bytes: 100n } });
    await done;
    expect(it.data()).toBe('abcdefghi');
  });

  it('goes no faster than the connection takes it, and holds up no other command', async () => {
    const written = vi.fn();
    const it = lane(async io => {
      await io.opened();
      const release = it.hold();
      setImmediate(() => setImmediate(release));
      await io.write(stdout('a'));
      written(it.data());
      return {};
    });
    const done = it.open(100n);
    await turns();
    expect(written).not.toHaveBeenCalled();
    await it.plain('other');
    expect(it.cases()).toContain('containersExec');
    await done;
    expect(it.cases().at(-1)).toBe('streamEnd');
  });

  it('delivers input as it is granted', async () => {
    const it = lane(async io => {
      await io.opened();
      let seen = 0;
      for await (const chunk of io.stdin) seen += chunk.length;
      return { exitCode: seen };
    });
    const done = it.open(1n);
    for (let sent = 0; sent < 8; sent += 1) {
      await it.say({ case: 'streamInput', value: { input: { case: 'stdin', value: Buffer.alloc(65_536) } } });
      await turns();
    }
    await it.say({ case: 'streamInput', value: { input: { case: 'eof', value: true } } });
    await done;
    const granted = it.answers.reduce(
      (sum, body) => sum + (body.case === 'streamCredit' ? body.value.bytes : 0n),
      0n,
    );
    expect(granted).toBe(8n * 65_536n);
    expect(it.answers.at(-1)).toMatchObject({ case: 'streamEnd', value: { exitCode: 8 * 65_536 } });
  });

  it.each<[string, Command[], { takesInput?: boolean }]>([
    [
      'more than its credit',
      Array<Command>(5).fill({
        case: 'streamInput',
        value: { input: { case: 'stdin', value: Buffer.alloc(65_536) } },
      }),
      {},
    ],
    [
      'a chunk over 64 KiB',
      [{ case: 'streamInput', value: { input: { case: 'stdin', value: Buffer.alloc(65_537) } } }],
      {},
    ],
    [
      'what takes none',
      [{ case: 'streamInput', value: { input: { case: 'eof', value: true } } }],
      { takesInput: false },
    ],
  ])('is ended by input of %s, and only that one', async (_, commands, options) => {
    const it = lane(async io => {
      await io.opened();
      return await untilAborted(io);
    }, options);
    const done = it.open(1n);
    const other = it.open(1n, 'other');
    for (const command of commands) await it.say(command);
    await done;
    expect(it.answers.at(-1)).toMatchObject({ case: 'error', value: { code: 400 } });
    expect(it.calls).toMatchObject([{ requestId: 's', status: 400 }]);
    await it.say({ case: 'streamCancel', value: {} }, 'other');
    await other;
  });

  it('that is cancelled stops what feeds it and answers nothing', async () => {
    let stopped = false;
    const it = lane(async io => {
      await io.opened();
      await untilAborted(io).catch(() => {});
      await turns();
      stopped = true;
      return {};
    });
    const done = it.open(0n);
    await it.say({ case: 'streamCancel', value: {} });
    await it.plain();
    expect(it.cases(), 'its name is free at once').toEqual(['streamOpened', 'containersExec']);
    await done;
    expect([stopped, it.cases().length]).toEqual([true, 2]);
  });

  it('that waits for credit is cancelled too, and so is one whose link is lost', async () => {
    const it = lane(async io => {
      await io.opened();
      await io.write(stdout('abc'));
      return {};
    });
    const both = [it.open(0n, 'a'), it.open(0n, 'b')];
    await it.say({ case: 'streamCancel', value: {} }, 'a');
    it.gone.abort();
    await Promise.all(both);
    expect(it.cases()).toEqual(['streamOpened', 'streamOpened']);
    expect(it.calls.map(({ status }) => status)).toEqual([499, 499]);
  });

  it('has a name of its own while it is open', async () => {
    const it = lane(async io => {
      await io.opened();
      return await untilAborted(io);
    });
    const done = it.open(1n);
    await it.open(1n);
    await it.plain();
    expect(it.answers).toMatchObject([
      { case: 'streamOpened' },
      { case: 'error', value: { code: 409 } },
      { case: 'error', value: { code: 409 } },
    ]);
    await it.say({ case: 'streamCancel', value: {} });
    await done;
  });

  it('is one of so many', async () => {
    const it = lane(
      async io => {
        await io.opened();
        return await untilAborted(io);
      },
      { max: 1 },
    );
    const done = it.open(1n);
    await it.open(1n, 'other');
    expect(it.answers.at(-1)).toMatchObject({ case: 'error', value: { code: 503 } });
    it.gone.abort();
    await done;
  });

  it('an end of a stream that is not open has no effect', async () => {
    const it = lane(() => Promise.resolve({}));
    await it.say({ case: 'streamCancel', value: {} });
    await it.say({ case: 'streamCredit', value: { bytes: 1n } });
    await it.say({ case: 'streamInput', value: { input: { case: 'eof', value: true } } });
    expect(it.answers).toEqual([]);
    await it.plain();
    expect(it.cases()).toEqual(['containersExec']);
  });
});
