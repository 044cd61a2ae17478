import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ResponseSchema,
  requestIdOf,
  type ServerMsg,
  StreamFrame_Source,
  StreamInputSchema,
} from '@coold/proto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeHostStream } from '../../test/host-stream.ts';
import { createPending } from '../dispatch/pending.ts';
import type { HostStream } from '../hosts/hosts.ts';
import type { Opening, Session } from './session.ts';
import type { InputCall } from './session-input.ts';
import { createStreams } from './streams.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const windowBytes = 1000;
const logs: ServerMsg['command'] = create(ResponseSchema).body as ServerMsg['command'];
const said = (requestId: string, body: Body) => create(ResponseSchema, { requestId, body });
type Told = HostStream & { sent: ServerMsg[] };
/** Of the stream that was last asked for under that id. */
const nameOf = (requestId: string, { sent }: Told) =>
  sent.findLast(({ requestId: name, stream }) => stream !== undefined && requestIdOf(name) === requestId)
    ?.requestId ?? requestId;
const opened: Body = { case: 'streamOpened', value: { credit: 10n } };
const frame = (length: number): Body => ({
  case: 'streamFrame',
  value: { source: StreamFrame_Source.STDOUT, data: Buffer.alloc(length) },
});

function host(hostId = 'h'): Told {
  const sent: ServerMsg[] = [];
  return {
    ...fakeHostStream(hostId, {
      capabilities: [],
      send: message => sent.push(message) > 0,
      sendOwed: message => void sent.push(message),
    }),
    sent,
  };
}

function setUp(max = 3) {
  const pending = createPending({
    max,
    timeoutMs: 10_000,
    landedTtlMs: 30_000,
    overdueTtlMs: 300_000,
    landedMaxBytes: 1000,
  });
  const streams = createStreams({ pending, windowBytes, timeoutMs: 10_000 });
  const open = (requestId: string, on: HostStream): Session => {
    const asked = streams.open(requestId, on, logs);
    if (asked.kind !== 'opening') throw new Error(asked.kind);
    return asked.session;
  };
  const dispatch = (requestId: string, on: HostStream) =>
    pending.claim({ requestId, hostId: on.hostId, verb: 'v' }, on);
  return { pending, streams, open, dispatch };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a stream that has ended', () => {
  it('does not hear of the end of its host, unlike the others', () => {
    const { streams } = setUp();
    const on = host();
    const told: string[] = [];
    const over: (() => void)[] = [];
    for (const id of ['first', 'second'])
      streams.relay(id, on, logs, 1n, (_name, onGone) => {
        over.push(onGone);
        const end = () => void told.push(id);
        return { hear: () => 'heard', disconnected: end, stop: end };
      });
    over[0]?.();
    streams.disconnected(on);
    streams.stop();
    expect(told).toEqual(['second', 'second']);
    over[1]?.();
    streams.disconnected(on);
    streams.stop();
    expect(told).toEqual(['second', 'second']);
    expect(streams.count()).toBe(0);
  });
});

describe('ids', () => {
  it('are shared by dispatches and streams, and free once the reply has ended', () => {
    const { streams, open, dispatch } = setUp();
    const [one, two] = [host('1'), host('2')];
    const session = open('r', one);
    expect(one.sent).toMatchObject([{ requestId: 'r~1', stream: { credit: 1000n } }]);
    expect(streams.open('r', two, logs).kind).toBe('in flight');
    expect(dispatch('r', two).kind).toBe('in flight');
    expect(dispatch('d', two).kind).toBe('claimed');
    expect(streams.open('d', one, logs).kind).toBe('in flight');
    streams.hear(one, said(nameOf('r', one), opened));
    streams.hear(one, said(nameOf('r', one), { case: 'streamEnd', value: {} }));
    expect(streams.open('r', one, logs).kind, 'until its caller was told').toBe('in flight');
    session.close();
    session.close();
    expect(streams.open('r', one, logs).kind).toBe('opening');
    session.close();
    expect(streams.get('r'), 'an old session’s end is not the new one’s').toBeDefined();
  });

  it('count against the cap together', () => {
    const { streams, open, dispatch } = setUp(2);
    const h = host();
    const session = open('a', h);
    dispatch('b', h);
    expect(streams.open('c', h, logs).kind).toBe('full');
    expect(dispatch('c', h).kind).toBe('full');
    session.close();
    expect(dispatch('c', h).kind).toBe('claimed');
  });

  it('of a host that has left too much unread stay free', () => {
    const { streams, pending } = setUp(1);
    expect(streams.open('r', { ...host(), send: () => false }, logs)).toEqual({ kind: 'unread' });
    expect([streams.count(), pending.hold('x').kind]).toEqual([0, 'held']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are refused once the broker stops', async () => {
    const { streams, pending, open } = setUp();
    const session = open('r', host());
    streams.stop();
    await pending.drain(3000);
    expect(await session.opening).toMatchObject({ failure: { code: 503, message: 'broker is stopping' } });
    expect(streams.open('s', host(), logs).kind).toBe('stopping');
  });
});

describe('what hosts say', () => {
  it('reaches the stream of that id if it is theirs', () => {
    const { streams, open } = setUp();
    const [mine, other] = [host('mine'), host('other')];
    const session = open('r', mine);
    expect(streams.hear(other, said(nameOf('r', mine), opened))).toBe('of another host');
    expect(streams.hear(mine, said(nameOf('r', mine), opened))).toBe('heard');
    expect(streams.hear(other, said(nameOf('r', mine), frame(5)))).toBe('of another host');
    expect(session.next()).toBeUndefined();
  });

  it('of streams that are over is left over; other answers are for dispatches', () => {
    const { streams, open } = setUp();
    const h = host();
    open('r', h).close();
    expect(streams.hear(h, said(nameOf('r', h), frame(5)))).toBe('left over');
    expect(streams.hear(h, said('d', { case: 'listContainers', value: {} }))).toBeUndefined();
    expect(streams.hear(h, said('d', { case: 'error', value: { code: 500 } }))).toBeUndefined();
  });

  it('late, of an earlier command with the same id, is not taken for an answer of the stream', async () => {
    const { streams, open, pending, dispatch } = setUp();
    const h = host();
    dispatch('r', h);
    await vi.advanceTimersByTimeAsync(10_000);
    const one = open('r', h);
    const [first] = h.sent;
    // The dispatch that was given up is answered now.
    const late = said('r', { case: 'error', value: { code: 404 } });
    expect(streams.hear(h, late) ?? pending.answer(h, late, 10)).toBe('unknown');
    one.close();
    const two = open('r', h);
    const second = h.sent.at(-1);
    // So is the first stream, which its caller did not wait for, and a host that finds the name in use says so.
    const name = first?.requestId ?? '';
    expect(streams.hear(h, said(name, opened))).toBe('left over');
    expect(streams.hear(h, said(name, frame(5)))).toBe('left over');
    expect(streams.hear(h, said(name, { case: 'error', value: { code: 409 } }))).toBe('left over');
    expect(streams.hear(h, said(second?.requestId ?? '', opened))).toBe('heard');
    expect(await two.opening).toEqual({ kind: 'opened' });
    expect(two.next()).toBeUndefined();
  });

  it('ends with their connection, and with no other', async () => {
    const { streams, open } = setUp();
    const [lost, kept] = [host('lost'), host('kept')];
    const [a, b, c] = [open('a', lost), open('b', lost), open('c', kept)];
    streams.hear(lost, said(nameOf('b', lost), opened));
    streams.disconnected(lost);
    expect(await a.opening).toMatchObject({ kind: 'refused', failure: { code: 503 } });
    expect(b.next()).toMatchObject({ kind: 'failed', failure: { code: 503, message: 'host disconnected' } });
    streams.hear(kept, said(nameOf('c', kept), opened));
    expect(c.next()).toBeUndefined();
  });
});

interface Step {
  do: string;
  id: string;
  host: number;
  /** Of a frame, a credit, an input; ms of a wait. */
  bytes: number;
}

it('whatever happens in whatever order, streams keep within their credit, end once, and leave nothing behind', async () => {
  const ids = fc.nat(2).map(id => `r${id}`);
  const on = { id: ids, host: fc.constantFrom(0, 0, 0, 1) };
  const of = (...kinds: string[]) => fc.constantFrom(...kinds);
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ do: of('open', 'opened', 'opened'), ...on, bytes: fc.constant(0) }),
    },
    { weight: 8, arbitrary: fc.record({ do: of('frame'), ...on, bytes: fc.nat(700) }) },
    { weight: 6, arbitrary: fc.record({ do: of('take', 'input', 'credit'), ...on, bytes: fc.nat(30) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: of('dispatch', 'end', 'error', 'plain', 'input over', 'close', 'disconnect'),
        ...on,
        bytes: fc.constant(0),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: of('wait'), ...on, bytes: fc.constantFrom(1, 10_000) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), async steps => {
      const { streams, pending } = setUp(4);
      let hosts = [host('0'), host('1')];
      interface Watched {
        session: Session;
        host: Told;
        openings: Opening[];
        /** Bytes of output heard, told and taken, and how often an end was told. */
        told: number;
        heard: number;
        endings: number;
        closed: boolean;
        /** Closed before its end was told, as by a caller who hangs up. */
        left: boolean;
        inputs: { call: InputCall; sending: Promise<unknown> }[];
      }
      const all: Watched[] = [];
      const live = new Map<string, Watched>();
      const stdinCredit = new Map<string, number>();
      const readAll = (stream: Watched) => {
        for (let news = stream.session.next(); news !== undefined; news = stream.session.next()) {
          expect(stream.endings, 'nothing after the end').toBe(0);
          if (news.kind === 'output') {
            stream.told += news.data.length;
            stream.session.taken(news.data.length);
          } else stream.endings += 1;
        }
        expect(stream.told).toBeLessThanOrEqual(stream.heard);
      };
      const close = (id: string) => {
        const stream = live.get(id);
        if (stream === undefined) return;
        stream.session.close();
        stream.closed = true;
        live.delete(id);
        stdinCredit.delete(id);
      };
      for (const s of steps) {
        const from = hosts[s.host] ?? expect.fail();
        const { bytes } = s;
        const stream = live.get(s.id);
        const hear = (body: Body) => streams.hear(from, said(nameOf(s.id, stream?.host ?? from), body));
        switch (s.do) {
          case 'open': {
            const asked = streams.open(s.id, from, logs);
            if (asked.kind !== 'opening') break;
            expect(live.has(s.id)).toBe(false);
            const watched: Watched = {
              session: asked.session,
              host: from,
              openings: [],
              told: 0,
              heard: 0,
              endings: 0,
              closed: false,
              left: false,
              inputs: [],
            };
            void asked.session.opening.then(opening => watched.openings.push(opening));
            all.push(watched);
            live.set(s.id, watched);
            break;
          }
          case 'dispatch':
            if (pending.claim({ requestId: s.id, hostId: from.hostId, verb: 'v' }, from).kind === 'claimed')
              expect(live.has(s.id)).toBe(false);
            break;
          case 'opened':
            if (hear(opened) === 'heard') stdinCredit.set(s.id, 10);
            break;
          case 'credit':
            if (hear({ case: 'streamCredit', value: { bytes: BigInt(bytes) } }) === 'heard')
              stdinCredit.set(s.id, (stdinCredit.get(s.id) ?? 0) + bytes);
            break;
          case 'frame':
            if (hear(frame(bytes)) === 'heard' && stream !== undefined) stream.heard += bytes;
            break;
          case 'end':
            hear({ case: 'streamEnd', value: { exitCode: 0 } });
            break;
          case 'error':
            hear({ case: 'error', value: { code: 500 } });
            break;
          case 'plain':
            hear({ case: 'containersLogs', value: {} });
            break;
          case 'take':
            if (stream !== undefined) readAll(stream);
            break;
          case 'input': {
            const call = stream?.session.input.begin();
            if (call === undefined || 'code' in call) break;
            const input = { case: 'stdin', value: Buffer.alloc(bytes) } as const;
            const sending = call.send(create(StreamInputSchema, { input })).catch(() => 'refused');
            stream?.inputs.push({ call, sending });
            break;
          }
          case 'input over':
            stream?.inputs.at(-1)?.call.end();
            break;
          case 'close':
            if (stream !== undefined) stream.left = true;
            close(s.id);
            break;
          case 'disconnect':
            streams.disconnected(from);
            pending.disconnected(from);
            hosts = hosts.map(one => (one === from ? host(one.hostId) : one));
            break;
          case 'wait':
            await vi.advanceTimersByTimeAsync(bytes);
        }
        await vi.advanceTimersByTimeAsync(0);
        // Never more than the window between what was heard and what was told; never more stdin than was granted.
        for (const watched of live.values())
          expect(watched.heard - watched.told).toBeLessThanOrEqual(windowBytes);
        for (const [id, credit] of stdinCredit) {
          const watched = live.get(id);
          const begun = watched?.host.sent.findLastIndex(
            message => requestIdOf(message.requestId) === id && message.stream !== undefined,
          );
          const sent = (watched?.host.sent.slice(begun) ?? []).filter(
            message => requestIdOf(message.requestId) === id,
          );
          const stdin = sent.map(({ command }) =>
            command.case === 'streamInput' && command.value.input.case === 'stdin'
              ? command.value.input.value.length
              : 0,
          );
          expect(stdin.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(credit);
        }
      }
      for (const one of hosts) {
        streams.disconnected(one);
        pending.disconnected(one);
      }
      await vi.advanceTimersByTimeAsync(600_000);
      for (const watched of live.values()) readAll(watched);
      for (const id of [...live.keys()]) close(id);
      await vi.advanceTimersByTimeAsync(0);
      for (const { openings, endings, closed, left, inputs } of all) {
        expect(openings).toHaveLength(1);
        expect(closed).toBe(true);
        if (!left) expect(endings).toBe(openings[0]?.kind === 'opened' ? 1 : 0);
        for (const { call, sending } of inputs) {
          call.end();
          await sending;
        }
      }
      expect(streams.count()).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
      for (let n = 0; n < 4; n += 1) expect(pending.hold(`free-${n}`).kind).toBe('held');
    }),
    { numRuns: 300 },
  );
});
