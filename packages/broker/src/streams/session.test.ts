import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ResponseSchema, type ServerMsg, StreamFrame_Source, StreamInputSchema } from '@coold/proto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HostStream } from '../hosts/hosts.ts';
import { createSession, type News } from './session.ts';
import { InputError } from './session-input.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const { STDERR, STDOUT } = StreamFrame_Source;
const windowBytes = 1000;
const bytes = (length: number) => Buffer.alloc(length, 'x');
const opened = (credit = 0n): Body => ({ case: 'streamOpened', value: { credit } });
const frame = (data: string | Buffer, source = STDOUT): Body => ({
  case: 'streamFrame',
  value: { source, data: Buffer.from(data) },
});
const grant = (credit: bigint): Body => ({ case: 'streamCredit', value: { bytes: credit } });
const end = (exitCode?: number): Body => ({
  case: 'streamEnd',
  value: exitCode === undefined ? {} : { exitCode },
});
const error = (code: number, message: string, field = ''): Body => ({
  case: 'error',
  value: { code, message, field },
});

function setUp() {
  const sent: ServerMsg[] = [];
  let reads = true;
  const host = {
    send: message => reads && sent.push(message) > 0,
    sendOwed: message => void sent.push(message),
  } as HostStream;
  const onGone = vi.fn<() => void>();
  const { session, hostSide } = createSession({ name: 'r', host, windowBytes, timeoutMs: 10_000, onGone });
  const all = (): News[] => {
    const news: News[] = [];
    for (let next = session.next(); next !== undefined; next = session.next()) news.push(next);
    return news;
  };
  return {
    session,
    hostSide,
    onGone,
    sent,
    all,
    hear: (body: Body) => hostSide.hear(create(ResponseSchema, { body }).body),
    kinds: () => sent.map(({ command }) => command.case),
    stopReading: () => {
      reads = false;
    },
  };
}

const stdin = (text: string) =>
  create(StreamInputSchema, { input: { case: 'stdin', value: Buffer.from(text) } });
const eof = create(StreamInputSchema, { input: { case: 'eof', value: true } });
const resize = create(StreamInputSchema, { input: { case: 'resize', value: { cols: 80, rows: 24 } } });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('a stream that opens', () => {
  it('delivers events in order, output first and its end last, once', async () => {
    const stream = setUp();
    expect(stream.hear(opened())).toBe('heard');
    expect(await stream.session.opening).toEqual({ kind: 'opened' });
    const news = vi.fn<() => void>();
    stream.session.onNews(news);
    stream.hear(frame('a'));
    stream.hear(frame('b', STDERR));
    stream.hear(end(3));
    expect(news).toHaveBeenCalledTimes(3);
    expect(stream.all()).toEqual([
      { kind: 'output', source: STDOUT, data: Buffer.from('a') },
      { kind: 'output', source: STDERR, data: Buffer.from('b') },
      { kind: 'ended', exitCode: 3 },
    ]);
    expect(stream.all()).toEqual([]);
    stream.session.close();
    expect(stream.onGone).toHaveBeenCalledOnce();
    expect(stream.kinds(), 'a host that ended it is not told to').toEqual([]);
  });

  it('is not held to the dispatch timeout', async () => {
    const stream = setUp();
    stream.hear(opened());
    await vi.advanceTimersByTimeAsync(3_600_000);
    stream.hear(end());
    expect(stream.all()).toEqual([{ kind: 'ended', exitCode: undefined }]);
  });

  it.each<[string, (stream: ReturnType<typeof setUp>) => void, object, string[]]>([
    [
      'an error of its host',
      s => s.hear(error(502, 'gone', 'id')),
      { code: 502, message: 'gone', field: 'id' },
      [],
    ],
    ['the loss of its host', s => s.hostSide.disconnected(), { code: 503, message: 'host disconnected' }, []],
    [
      'the end of the broker',
      s => s.hostSide.stop(),
      { code: 503, message: 'broker is stopping' },
      ['streamCancel'],
    ],
  ])('ends with %s, after what had come before', (_, happen, failure, sent) => {
    const stream = setUp();
    stream.hear(opened());
    stream.hear(frame('a'));
    happen(stream);
    stream.hostSide.disconnected();
    stream.hostSide.stop();
    expect(stream.all()).toMatchObject([{ kind: 'output' }, { kind: 'failed', failure }]);
    stream.session.close();
    expect(stream.kinds()).toEqual(sent);
  });
});

describe('a stream that does not open', () => {
  it.each<[string, (stream: ReturnType<typeof setUp>) => void, object, string[]]>([
    [
      'its host refuses',
      s => s.hear(error(404, 'no such container', 'id')),
      { by: 'host', failure: { code: 404, field: 'id' } },
      [],
    ],
    [
      'its host is lost',
      s => s.hostSide.disconnected(),
      { by: 'broker', failure: { code: 503, message: 'host disconnected' } },
      [],
    ],
    [
      'the broker stops',
      s => s.hostSide.stop(),
      { by: 'broker', failure: { code: 503, message: 'broker is stopping' } },
      ['streamCancel'],
    ],
    [
      'its host answers whole',
      s => s.hear({ case: 'containersLogs', value: {} }),
      { by: 'broker', failure: { code: 501 } },
      ['streamCancel'],
    ],
    ['its caller leaves', s => s.session.close(), { by: 'broker', failure: { code: 499 } }, ['streamCancel']],
  ])('%s', async (_, happen, refusal, sent) => {
    const stream = setUp();
    happen(stream);
    expect(await stream.session.opening).toMatchObject({ kind: 'refused', ...refusal });
    stream.session.close();
    expect(stream.kinds()).toEqual(sent);
    expect(stream.all()).toEqual([]);
    expect(stream.onGone).toHaveBeenCalledOnce();
  });

  it('is a dispatch timeout, and its host is told to stop', async () => {
    const stream = setUp();
    await vi.advanceTimersByTimeAsync(9_999);
    expect(stream.kinds()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await stream.session.opening).toEqual({
      kind: 'refused',
      by: 'broker',
      failure: { code: 504, reason: 'dispatch_timeout', message: 'dispatch timeout' },
    });
    expect(stream.kinds()).toEqual(['streamCancel']);
    expect(stream.hear(opened()), 'too late').toBe('out of turn');
    stream.session.close();
    expect(stream.kinds()).toEqual(['streamCancel']);
  });
});

describe('what a host says out of turn', () => {
  it('before it opened the stream changes nothing: an earlier one of the same id may have said it', async () => {
    const stream = setUp();
    for (const early of [frame('old'), grant(5n), end(1)]) expect(stream.hear(early)).toBe('out of turn');
    stream.hear(opened());
    expect(await stream.session.opening).toEqual({ kind: 'opened' });
    expect(stream.all()).toEqual([]);
    expect(stream.hear(opened(9n)), 'twice').toBe('out of turn');
    expect(stream.session.input.begin(), 'twice').toMatchObject({ code: 409 });
    expect(stream.hostSide.hear({ case: undefined }), 'docs/contract.md §1: unknown kinds are ignored').toBe(
      'out of turn',
    );
    stream.session.close();
  });

  it('after the end changes nothing', () => {
    const stream = setUp();
    stream.hear(opened());
    stream.hear(end(0));
    for (const late of [frame('x'), frame(bytes(5000)), grant(5n), end(1), error(500, 'x'), opened()])
      expect(stream.hear(late)).toBe('out of turn');
    expect(stream.all()).toEqual([{ kind: 'ended', exitCode: 0 }]);
    stream.session.close();
    expect(stream.hear(frame('x'))).toBe('out of turn');
    expect(stream.kinds()).toEqual([]);
  });

  it('an answer of another kind ends the stream', () => {
    const stream = setUp();
    stream.hear(opened());
    expect(stream.hear({ case: 'containersLogs', value: {} })).toBe('offence');
    expect(stream.all()).toMatchObject([{ kind: 'failed', failure: { code: 502 } }]);
    expect(stream.kinds()).toEqual(['streamCancel']);
    stream.session.close();
  });
});

describe('credit for output', () => {
  it('is given again as the caller takes, a quarter of the window at a time', () => {
    const stream = setUp();
    stream.hear(opened());
    for (let sent = 0; sent < windowBytes; sent += 100) expect(stream.hear(frame(bytes(100)))).toBe('heard');
    stream.session.taken(249);
    expect(stream.sent).toEqual([]);
    stream.session.taken(1);
    expect(stream.sent).toMatchObject([
      { requestId: 'r', command: { case: 'streamCredit', value: { bytes: 250n } } },
    ]);
    expect(stream.hear(frame(bytes(250)))).toBe('heard');
    expect(stream.hear(frame(bytes(1)))).toBe('offence');
    stream.session.close();
  });

  it('that is exceeded ends the stream, and its host is told to stop', () => {
    const stream = setUp();
    stream.hear(opened());
    stream.hear(frame(bytes(windowBytes)));
    expect(stream.hear(frame(bytes(1)))).toBe('offence');
    expect(stream.all()).toEqual([
      { kind: 'output', source: STDOUT, data: bytes(windowBytes) },
      {
        kind: 'failed',
        failure: {
          code: 502,
          reason: 'stream_broken',
          message: 'host sent more of the stream than it was granted',
        },
      },
    ]);
    stream.session.taken(windowBytes);
    stream.session.close();
    expect(stream.kinds()).toEqual(['streamCancel']);
  });
});

describe('input', () => {
  function calling(stream: ReturnType<typeof setUp>) {
    const call = stream.session.input.begin();
    if ('code' in call) expect.fail(call.message);
    return call;
  }

  it('goes no further than the host grants', async () => {
    const stream = setUp();
    stream.hear(opened(4n));
    const call = calling(stream);
    let done = false;
    const sending = call.send(stdin('abcdefghij')).then(() => {
      done = true;
    });
    const stdinSent = () =>
      stream.sent.map(({ command }) =>
        command.case === 'streamInput' && command.value.input.case === 'stdin'
          ? String(command.value.input.value)
          : command.case,
      );
    await vi.advanceTimersByTimeAsync(0);
    expect([stdinSent(), done]).toEqual([['abcd'], false]);
    stream.hear(grant(2n));
    await vi.advanceTimersByTimeAsync(0);
    expect([stdinSent(), done]).toEqual([['abcd', 'ef'], false]);
    stream.hear(grant(2n ** 63n));
    await sending;
    expect(stdinSent()).toEqual(['abcd', 'ef', 'ghij']);
    await call.send(resize);
    await call.send(eof);
    await call.send(eof);
    expect(stream.kinds()).toEqual(Array.from({ length: 5 }, () => 'streamInput'));
    await expect(call.send(stdin('more'))).rejects.toMatchObject({ failure: { code: 409, field: 'stdin' } });
    call.end();
    stream.session.close();
  });

  it('allows one call at a time, and none when there is no stream for it', () => {
    const stream = setUp();
    const code = () => {
      const begun = stream.session.input.begin();
      return 'code' in begun ? begun.code : begun.end();
    };
    expect(code(), 'opening').toBe(404);
    stream.hear(opened(4n));
    const call = calling(stream);
    expect(code(), 'at once').toBe(409);
    call.end();
    expect(code(), 'after it').toBeUndefined();
    const next = calling(stream);
    call.end();
    expect(code(), 'an end counts for its own call').toBe(409);
    next.end();
    stream.hear(end(0));
    expect(code(), 'ended').toBe(404);
    stream.session.close();
  });

  it('of a stream that takes none is 409, whatever the host grants later', () => {
    const stream = setUp();
    stream.hear(opened(0n));
    stream.hear(grant(5n));
    expect(stream.session.input.begin()).toEqual({
      code: 409,
      reason: 'input_not_taken',
      message: 'this stream takes no input',
    });
    stream.session.close();
  });

  it.each<[string, (stream: ReturnType<typeof setUp>) => void, number]>([
    ['the stream ends', s => s.hear(end(0)), 409],
    ['the stream fails', s => s.hear(error(7, 'no status of HTTP')), 409],
    ['the host is lost', s => s.hostSide.disconnected(), 503],
    ['the stream’s caller leaves', s => s.session.close(), 409],
  ])('that waits fails when %s', async (_, happen, code) => {
    const stream = setUp();
    stream.hear(opened(1n));
    const call = calling(stream);
    const sending = call.send(stdin('abc')).catch((cause: unknown) => cause);
    await vi.advanceTimersByTimeAsync(0);
    happen(stream);
    expect(await sending).toMatchObject({ failure: { code } });
    await expect(call.send(resize)).rejects.toThrow(InputError);
    stream.session.close();
  });

  it('that waits is given up with its own call, and the next begins where it stopped', async () => {
    const stream = setUp();
    stream.hear(opened(1n));
    const call = calling(stream);
    const sending = call.send(stdin('abc')).catch((cause: unknown) => cause);
    call.end();
    expect(await sending).toBeInstanceOf(InputError);
    stream.hear(grant(9n));
    await calling(stream).send(stdin('def'));
    expect(stream.kinds()).toEqual(['streamInput', 'streamInput']);
    stream.session.close();
  });

  it('is 503 for a host that does not read its stream', async () => {
    const stream = setUp();
    stream.hear(opened(10n));
    stream.stopReading();
    await expect(calling(stream).send(resize)).rejects.toMatchObject({ failure: { code: 503 } });
    stream.session.close();
    expect(stream.kinds(), 'it is told to stop all the same').toEqual(['streamCancel']);
  });
});
