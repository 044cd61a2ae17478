import { streamedCall } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { startLane } from '../../test/lane.ts';
import { type Lane, open, refusal } from '../../test/stream-calls.ts';

describe('input', () => {
  const input = (lane: Lane, requestId: string, contentType?: string) =>
    streamedCall({
      socketPath: lane.socketPath,
      path: `/v1/coold/stream/${requestId}/input`,
      ...(contentType === undefined ? {} : { contentType }),
    });
  const inputs = (lane: Lane) =>
    lane.sent.flatMap(({ command }) => {
      if (command.case !== 'streamInput') return [];
      const { case: kind, value } = command.value.input;
      return [kind === 'stdin' ? String(Buffer.from(value)) : kind];
    });
  /** Bytes that a caller sends as they are, and all that comes back. */
  const whole = (lane: Lane, requestId: string, text: string, headers: Record<string, string> = {}) =>
    lane.http.request({
      method: 'POST',
      path: `/v1/coold/stream/${requestId}/input`,
      body: text,
      headers: { 'content-type': 'application/x-ndjson', ...headers },
    });

  it('is handed on line by line, as it comes, and answered when all was', async () => {
    await using lane = await startLane();
    using _stream = await open(lane, 'r', 1000n);
    using call = input(lane, 'r');
    await call.write({ stdin: 'ls\n' });
    await soon(() => expect(inputs(lane)).toEqual(['ls\n']));
    await call.write({ resize: { cols: 80, rows: 24 } });
    await call.write({ stdin: 'w6k=', encoding: 'base64' });
    await call.write({ eof: true });
    call.end();
    expect((await call.answered).status).toBe(204);
    expect(inputs(lane)).toEqual(['ls\n', 'resize', 'é', 'eof']);
    expect((await whole(lane, 'r', '')).status, 'an empty body is none').toBe(204);
    const late = await whole(lane, 'r', '{"stdin":"more"}');
    expect([late.status, late.json()]).toMatchObject([409, { request_id: 'r', code: 409, field: 'stdin' }]);
  });

  it('may be announced as JSON, and as nothing else', async () => {
    await using lane = await startLane();
    using _stream = await open(lane, 'r', 1000n);
    const json = { 'content-type': 'application/json' };
    expect((await whole(lane, 'r', '{"stdin":"a"}', json)).status).toBe(204);
    for (const [name, value] of [
      ['content-type', 'text/plain'],
      ['content-encoding', 'gzip'],
    ] as const) {
      const refused = await whole(lane, 'r', '{"stdin":"b"}', { [name]: value });
      expect([refused.status, refused.json()]).toMatchObject([
        415,
        { message: expect.stringMatching(`^${name}: expected`) },
      ]);
    }
    expect(inputs(lane)).toEqual(['a']);
  });

  it('holds its caller up while the host takes none', async () => {
    await using lane = await startLane();
    using _stream = await open(lane, 'r', 10n);
    using call = input(lane, 'r');
    const text = 'x'.repeat(60_000);
    let written = 0;
    const writing = (async () => {
      for (; written < 100; written += 1) await call.write({ stdin: text });
    })();
    // What the kernel and the two ends of the socket hold; then no write returns, however much else happens meanwhile.
    for (let before = -1; before !== written; ) {
      before = written;
      for (let n = 0; n < 20; n += 1)
        expect((await lane.http.request({ path: '/v1/health' })).status).toBe(200);
    }
    expect(written).toBeLessThan(30);
    expect(inputs(lane)).toEqual(['x'.repeat(10)]);
    lane.say('r', { case: 'streamCredit', value: { bytes: 1n << 40n } });
    await writing;
    call.end();
    expect((await call.answered).status).toBe(204);
    expect(inputs(lane).join('').length).toBe(100 * text.length);
  });

  it.each<[string, string, string]>([
    ['no JSON', '{"stdin":"a"}\n{"stdin":', 'lines[1]'],
    ['an unknown field', '{"stdin":"a"}\n\n{"stdout":"b"}\n{"stdin":"c"}\n', 'lines[2].stdout'],
    ['a terminal of no width', '{"stdin":"a"}\n{"resize":{"cols":0,"rows":1}}', 'lines[1].resize.cols'],
    ['JSON nested deeper than 32', `{"stdin":"a"}\n{"stdin":${'['.repeat(40)}${']'.repeat(40)}}`, 'lines[1]'],
    ['a prototype', '{"stdin":"a"}\n{"__proto__":{}}', 'lines[1].__proto__'],
    ['a line that is too long', `{"stdin":"a"}\n{"stdin":"${'b'.repeat(1024 * 1024)}"}\n`, 'lines[1]'],
  ])('with %s is 400, and nothing after it is sent', async (_, text, field) => {
    await using lane = await startLane();
    using _stream = await open(lane, 'r', 1000n);
    const refused = await whole(lane, 'r', text);
    expect([refused.status, refused.json()]).toMatchObject([400, { request_id: 'r', code: 400, field }]);
    expect(refused.headers['connection']).toBe('close');
    expect(inputs(lane).join('')).toMatch(/^a?$/);
    expect((await whole(lane, 'r', '{"stdin":"z"}')).status, 'the stream goes on').toBe(204);
  });

  it('is one call at a time, for streams that there are and that take it', async () => {
    await using lane = await startLane();
    using _stream = await open(lane, 'r', 1000n);
    using _deaf = await open(lane, 'deaf');
    using first = input(lane, 'r');
    await first.write({ stdin: 'a' });
    await soon(() => expect(inputs(lane)).toEqual(['a']));
    const refused = async (id: string) => {
      const { status, text } = await whole(lane, id, '{"stdin":"b"}');
      return [status, (JSON.parse(text) as { message: string }).message];
    };
    expect(await refused('r')).toEqual([409, 'another input call is under way']);
    expect(await refused('deaf')).toEqual([409, 'this stream takes no input']);
    expect(await refused('nowhere')).toEqual([404, 'unknown request_id']);
    first.hangUp();
    await soon(async () => expect((await whole(lane, 'r', '{"stdin":"c"}')).status).toBe(204));
    expect(inputs(lane)).toEqual(['a', 'c']);
  });

  it('that sends nothing for too long is 408, and its stream continues', async () => {
    await using lane = await startLane({ inputIdleMs: 100 });
    using stream = await open(lane, 'r', 1000n);
    using call = input(lane, 'r');
    await call.write({ stdin: 'a' });
    expect(await refusal(call)).toMatchObject([
      408,
      [{ code: 408, message: 'body: nothing came for 0.1 s' }],
    ]);
    lane.say('r', { case: 'streamEnd', value: { exitCode: 0 } });
    expect(await stream.rest()).toEqual([{ exit_code: 0 }]);
  });

  it('that waits for the host is not ended as idle, and ends with the stream', async () => {
    await using lane = await startLane({ inputIdleMs: 100 });
    using _stream = await open(lane, 'r', 1n);
    using call = input(lane, 'r');
    await call.write({ stdin: 'ab' });
    using other = await open(lane, 'other', 1n);
    using idle = input(lane, 'other');
    // The other's time is over; this one, which came before it, still waits.
    expect((await idle.answered).status).toBe(408);
    other.hangUp();
    lane.say('r', { case: 'streamEnd', value: { exitCode: 0 } });
    expect(await refusal(call)).toMatchObject([409, [{ message: 'the stream ended before its input did' }]]);
  });
});
