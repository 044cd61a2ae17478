import { connect } from 'node:net';
import { requestIdOf, type ServerMsg, StreamFrame_Source } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { containers, startLane } from '../../test/lane.ts';
import {
  ask,
  follow,
  frame,
  type Lane,
  open,
  refusal,
  sentKinds,
  streamBody,
} from '../../test/stream-calls.ts';

const { STDERR } = StreamFrame_Source;

describe('a stream', () => {
  it('is its first line, its frames, and its end', async () => {
    await using lane = await startLane();
    using call = await open(lane, 'r');
    expect(lane.sent).toMatchObject([
      { requestId: 'r~1', command: { case: 'containersLogs', value: { id: 'web', follow: true } } },
    ]);
    expect(lane.sent[0]?.stream?.credit).toBe(256n * 1024n);
    expect((await call.answered).headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'transfer-encoding': 'chunked',
    });
    frame(lane, 'r', 'é\n');
    expect(await call.next()).toEqual({ stream: 'stdout', data: 'é\n' });
    frame(lane, 'r', Buffer.from([0xff]), STDERR);
    expect(await call.next()).toEqual({ stream: 'stderr', data: '/w==', encoding: 'base64' });
    lane.say('r', { case: 'streamEnd', value: { exitCode: 7 } });
    expect(await call.rest()).toEqual([{ exit_code: 7 }]);
    await soon(() => expect(lane.streams.count()).toBe(0));
    expect(sentKinds(lane)).toEqual(['containersLogs']);
  });

  it('without an exit code just ends', async () => {
    await using lane = await startLane();
    using call = await open(lane, 'r');
    lane.say('r', { case: 'streamEnd', value: {} });
    expect(await call.rest()).toEqual([]);
  });

  it('that fails ends with a line with the error', async () => {
    await using lane = await startLane();
    using failed = await open(lane, 'failed');
    lane.say('failed', { case: 'error', value: { code: 502, message: 'podman: gone', field: 'id' } });
    expect(await failed.rest()).toEqual([
      { error: 'podman: gone', code: 502, reason: 'upstream_failed', field: 'id' },
    ]);
    using lost = await open(lane, 'lost');
    frame(lane, 'lost', 'last words');
    lane.streams.disconnected(lane.host);
    expect(await lost.rest()).toEqual([
      { stream: 'stdout', data: 'last words' },
      { error: 'host disconnected', code: 503, reason: 'host_disconnected' },
    ]);
  });

  it('whose caller hangs up is cancelled at its host, and its id is free', async () => {
    await using lane = await startLane();
    const call = await open(lane, 'r');
    call.hangUp();
    await soon(() => expect(sentKinds(lane)).toEqual(['containersLogs', 'streamCancel']));
    expect(lane.sent.at(-1)?.requestId).toBe('r~1');
    expect(frame(lane, 'r', 'still under way')).toBe('left over');
    using again = await open(lane, 'r');
    again.hangUp();
  });

  it('whose caller hangs up before it opened is cancelled too', async () => {
    await using lane = await startLane();
    const call = ask(lane, 'r');
    await soon(() => expect(lane.streams.get('r')).toBeDefined());
    call.hangUp();
    await soon(() => expect(sentKinds(lane)).toEqual(['containersLogs', 'streamCancel']));
    expect(lane.streams.count()).toBe(0);
  });
});

describe('a stream that does not begin is one envelope', () => {
  const envelope = (code: number, reason: string, message: unknown, more: object = {}) => [
    { request_id: 'r', status: 'error', code, reason, message, ...more },
  ];

  it('of the host’s, with HTTP 200', async () => {
    await using lane = await startLane();
    using call = ask(lane, 'r');
    await soon(() => expect(lane.streams.get('r')).toBeDefined());
    lane.say('r', { case: 'error', value: { code: 404, message: 'no such container', field: 'id' } });
    expect(await refusal(call)).toEqual([
      200,
      envelope(404, 'not_found', 'no such container', { field: 'id' }),
    ]);
    expect((await call.answered).headers['content-type']).toMatch(/^application\/json/);
    await soon(() => expect(lane.streams.count()).toBe(0));
  });

  it('of ours when the host does not begin in time', async () => {
    await using lane = await startLane({ timeoutMs: 100 });
    using call = ask(lane, 'r');
    expect(await refusal(call)).toEqual([504, envelope(504, 'dispatch_timeout', 'dispatch timeout')]);
    expect(sentKinds(lane)).toEqual(['containersLogs', 'streamCancel']);
  });

  it('of ours when the host is lost, or answers whole', async () => {
    await using lane = await startLane();
    using lost = ask(lane, 'r');
    await soon(() => expect(lane.streams.get('r')).toBeDefined());
    lane.streams.disconnected(lane.host);
    expect(await refusal(lost)).toEqual([503, envelope(503, 'host_disconnected', 'host disconnected')]);
    await soon(() => expect(lane.streams.count()).toBe(0));
    using whole = ask(lane, 'r');
    await soon(() => expect(lane.streams.get('r')).toBeDefined());
    lane.say('r', { case: 'containersLogs', value: {} });
    expect(await refusal(whole)).toEqual([
      501,
      envelope(501, 'host_too_old', expect.stringContaining('does not stream')),
    ]);
  });

  it.each<[string, object, number, object]>([
    [
      'a verb that does not stream',
      { command: { type: 'host.info' } },
      400,
      {
        field: 'command.type',
        message: expect.stringMatching(
          /containers\.logs, containers\.exec, coold\.logs or host\.events$/,
        ) as string,
      },
    ],
    ['a field that is none', { command: { ...follow, all: true } }, 400, { field: 'all' }],
    ['a host that is not there', { host_id: 'elsewhere' }, 404, { message: 'host not connected' }],
  ])('of ours for %s', async (_, extra, code, more) => {
    await using lane = await startLane();
    using call = ask(lane, 'r', extra);
    expect(await refusal(call)).toMatchObject([code, [{ request_id: 'r', status: 'error', code, ...more }]]);
    expect(lane.sent).toEqual([]);
  });

  it('of ours for a host of schema 1, an id under way on either lane, and at the cap', async () => {
    await using old = await startLane({ schemaMax: 1 });
    using above = ask(old, 'r');
    expect((await above.answered).status).toBe(501);

    await using lane = await startLane({ max: 2 });
    using _open = await open(lane, 'a');
    const parked = lane.list('b');
    await soon(() => expect(lane.sent).toHaveLength(2));
    for (const id of ['a', 'b']) {
      using same = ask(lane, id);
      expect(await refusal(same)).toMatchObject([409, [{ message: 'request_id already in flight' }]]);
      expect((await lane.list(id)).status).toBe(409);
    }
    using third = ask(lane, 'c');
    expect(await refusal(third)).toMatchObject([503, [{ message: 'broker at pending-dispatch capacity' }]]);
    lane.answer('b', containers);
    await parked;
  });
});

describe('a caller that reads slowly', () => {
  const head = (requestId: string) => {
    const json = JSON.stringify(streamBody(requestId));
    return `POST /v1/coold/stream HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\nconnection: close\r\n\r\n${json}`;
  };

  /** A caller that reads nothing until it is told to. */
  async function deaf(lane: Lane, requestId: string) {
    const socket = connect(lane.socketPath);
    socket.on('error', () => {});
    socket.pause();
    socket.write(head(requestId));
    await soon(() => expect(lane.streams.get(requestId)).toBeDefined());
    lane.say(requestId, { case: 'streamOpened', value: { credit: 0n } });
    return socket;
  }

  /** A host that keeps to its credit, and sends all of it at once, until it has sent so much. */
  function sendAll(lane: Lane, requestId: string, total: number, whenDone = () => {}) {
    let [sent, credit] = [0, 0];
    const hear = (message: ServerMsg) => {
      if (requestIdOf(message.requestId) !== requestId) return;
      if (message.stream !== undefined) credit += Number(message.stream.credit);
      if (message.command.case === 'streamCredit') credit += Number(message.command.value.bytes);
      while (credit > 0 && sent < total) {
        const length = Math.min(credit, 10_000, total - sent);
        if (frame(lane, requestId, Buffer.alloc(length, 'x')) !== 'heard') return;
        credit -= length;
        sent += length;
        if (sent === total) whenDone();
      }
    };
    for (const message of lane.sent) hear(message);
    lane.onSent(hear);
    return { sent: () => sent };
  }

  it('holds up its own host’s output at the window, loses nothing, and others are served', async () => {
    await using lane = await startLane({ windowBytes: 64 * 1024 });
    const socket = await deaf(lane, 'r');
    const total = 20 * 1024 * 1024;
    const host = sendAll(lane, 'r', total, () =>
      lane.say('r', { case: 'streamEnd', value: { exitCode: 0 } }),
    );
    // The kernel's buffers take some; then nothing moves, while many others come and go.
    for (let [round, before] = [0, -1]; before !== host.sent(); round += 1) {
      before = host.sent();
      for (const id of [`a-${round}`, `b-${round}`, `c-${round}`]) {
        using other = await open(lane, id);
        lane.say(id, { case: 'streamEnd', value: {} });
        expect(await other.rest()).toEqual([]);
      }
    }
    expect(host.sent()).toBeLessThan(2 * 1024 * 1024);
    let text = '';
    socket.setEncoding('latin1');
    for await (const chunk of socket) text += String(chunk);
    expect(text).toContain('{"exit_code":0}');
    expect(text.match(/x/g)?.length).toBeGreaterThanOrEqual(total);
  }, 60_000);

  it('and reads nothing at all is disconnected, and its host told to stop; a quiet stream is not', async () => {
    await using lane = await startLane({ stalledReplyMs: 200 });
    using quiet = await open(lane, 'quiet');
    const socket = await deaf(lane, 'r');
    const cancelled = new Promise<void>(resolve => {
      lane.onSent(({ command }) => {
        if (command.case === 'streamCancel') resolve();
      });
    });
    sendAll(lane, 'r', 20 * 1024 * 1024);
    await cancelled;
    expect(lane.streams.get('r')).toBeUndefined();
    // It was there before the other, and has said nothing for longer.
    frame(lane, 'quiet', 'at last');
    expect(await quiet.next()).toEqual({ stream: 'stdout', data: 'at last' });
    socket.destroy();
  });
});

describe('a broker that stops', () => {
  it('every caller learns why its stream ends', async () => {
    await using lane = await startLane();
    using call = await open(lane, 'r');
    using opening = ask(lane, 's');
    await soon(() => expect(lane.streams.count()).toBe(2));
    lane.streams.stop();
    const stopped = lane.lane.stop(60_000);
    expect(await call.rest()).toEqual([
      { error: 'broker is stopping', code: 503, reason: 'broker_stopping' },
    ]);
    expect(await refusal(opening)).toMatchObject([503, [{ message: 'broker is stopping' }]]);
    await stopped;
    expect(sentKinds(lane).filter(kind => kind === 'streamCancel')).toHaveLength(2);
    expect(lane.streams.count()).toBe(0);
  });
});
