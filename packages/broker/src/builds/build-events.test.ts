import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { builtOk } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { cases, digest, error, setUpLane, windowBytes } from '../../test/build-lane.ts';

describe('events', () => {
  const line = (n: number) => `${JSON.stringify({ type: 'progress', stage: 'git', log: `${n}` })}\n`;
  const lines = (count: number) => Buffer.from(Array.from({ length: count }, (_, n) => line(n)).join(''));

  it('are the host’s lines from the first to the end, for each reader', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h', {
      async onEvents(stream) {
        stream.open();
        await stream.write(lines(10_000));
        stream.end();
      },
    });
    await lane.begun('b', host);
    const read = () => lane.http.request({ path: '/v1/build/b/events' });
    const [one, two] = await Promise.all([read(), read()]);
    host.finish('b', builtOk(digest));
    const three = await read();
    for (const { status, headers, text } of [one, two, three]) {
      expect([status, headers['content-type']]).toEqual([200, 'application/x-ndjson']);
      expect(text === lines(10_000).toString()).toBe(true);
    }
    await soon(() => expect(lane.streams.count()).toBe(0));
  });

  it('are followed, as slowly as their reader likes, until it hangs up', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h', {
      onEvents(stream) {
        stream.open();
        stream.write(lines(100_000)).catch(() => {});
      },
    });
    await lane.begun('b', host);
    const request = httpRequest({ socketPath: lane.socketPath, path: '/v1/build/b/events' });
    request.end();
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    answer.once('data', () => answer.pause());
    // What nobody reads is not asked of the host: its credit comes to an end long before its lines do.
    const granted = () =>
      host.commands.reduce((sum, { command: { case: kind, value } }) => {
        return kind === 'streamCredit' ? sum + Number(value.bytes) : sum;
      }, windowBytes);
    await soon(() => expect(granted()).toBeGreaterThan(windowBytes));
    expect(granted()).toBeLessThan(lines(100_000).length / 2);
    expect((await lane.get('/v1/health')).status, 'nobody else is held up').toBe(200);
    request.destroy();
    await soon(() => expect(cases(host).at(-1)).toBe('streamCancel'));
    expect(lane.streams.count()).toBe(0);
  });

  it('that break off end with a line that says why, never in the middle of one', async () => {
    await using lane = await setUpLane();
    const half = Buffer.from(`${line(1)}{"type":"progr`);
    const host = await lane.builder('h', {
      onEvents(stream) {
        stream.open();
        stream.push(half);
      },
    });
    await lane.begun('b', host);
    const request = httpRequest({ socketPath: lane.socketPath, path: '/v1/build/b/events' });
    request.end();
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    let text = '';
    answer.on('data', chunk => {
      text += String(chunk);
    });
    await soon(() => expect(text).toBe(half.toString()));
    host.cut();
    await once(answer, 'end');
    expect(text).toBe(`${half}\n{"error":"host disconnected","code":503,"reason":"host_disconnected"}\n`);
  });

  it('a build named "result" has events, and a build named "events" has a result', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h', {
      async onEvents(stream) {
        stream.open();
        await stream.write(lines(2));
        stream.end();
      },
    });
    await lane.begun('result', host);
    const { status, text } = await lane.http.request({ path: '/v1/build/result/events' });
    expect([status, text]).toEqual([200, lines(2).toString()]);
    host.finish('result', builtOk(digest));
    expect(await lane.result('result')).toMatchObject({ status: 200, body: { digest } });
    expect(await lane.remove('result')).toEqual({ status: 204 });
    expect(await lane.result('events')).toEqual(
      error('events', 404, 'request_id_unknown', 'unknown request_id', 'result'),
    );
    await lane.begun('events', host);
    host.finish('events', builtOk(digest));
    expect(await lane.result('events')).toMatchObject({ body: { request_id: 'events', digest } });
  });

  it('are refused where nobody can tell them', async () => {
    await using lane = await setUpLane();
    const events = (id: string) => lane.get(`/v1/build/${id}/events`);
    expect(await events('b')).toEqual(error('b', 404, 'request_id_unknown', 'unknown request_id', 'events'));
    const old = await lane.builder('old', { schemaMax: 1 });
    await lane.dispatch('b');
    expect(await events('b')).toMatchObject({ status: 501, body: { stage: 'events' } });
    await soon(() => expect(old.builds.has('b')).toBe(true));
    await lane.gone(old);
    expect(await events('b')).toEqual(
      error('b', 503, 'build_host_away', 'builder host disconnected', 'events'),
    );
    const young = await lane.builder('young');
    await lane.begun('c', young);
    young.builds.delete('c');
    expect(await events('c'), 'the host’s error').toEqual({
      ...error('c', 404, 'not_found', 'no such build', 'events'),
      status: 200,
    });
  });
});
