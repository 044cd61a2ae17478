import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { builtOk } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { cases, digest, error, setUpLane } from '../../test/build-lane.ts';

describe('a poll', () => {
  it('is 408 after its time, and the build continues', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    expect(await lane.result('b', 20)).toEqual(
      error('b', 408, 'result_not_ready', 'result poll timed out', 'result'),
    );
    host.finish('b', builtOk(digest));
    expect((await lane.result('b')).status).toBe(200);
  });

  it('may wait for longer than a reply may be left unread', async () => {
    await using lane = await setUpLane({ stalledReplyMs: 20 });
    await lane.builder('h');
    await lane.dispatch('b');
    expect((await lane.result('b', 200)).status).toBe(408);
  });

  it.each(['', '-1', '1.5', 'soon', '1&timeout_ms=2'])('is 400 for timeout_ms=%s', async given => {
    await using lane = await setUpLane();
    expect(await lane.result('b', given)).toMatchObject({ status: 400, body: { field: 'timeout_ms' } });
  });

  it('whose caller hangs up has read nothing', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    const request = httpRequest({ socketPath: lane.socketPath, path: '/v1/build/result/b' });
    request.on('error', () => {});
    request.end();
    await soon(() => expect(lane.builds.counts().waiting).toBe(1));
    await once(request, 'socket');
    request.destroy();
    await soon(() => expect(host.builds.has('b')).toBe(true));
    host.finish('b', builtOk(digest));
    await soon(() => expect(lane.builds.counts().landed).toBe(1));
    expect(cases(host)).toEqual(['build']);
    expect((await lane.result('b')).status).toBe(200);
  });

  it('cannot be made by HEAD, which reads nothing', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    host.finish('b', builtOk(digest));
    const head = httpRequest({ method: 'HEAD', socketPath: lane.socketPath, path: '/v1/build/result/b' });
    head.end();
    const [answer] = (await once(head, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(405);
    expect((await lane.result('b')).status).toBe(200);
  });

  it('that comes late is answered by the host', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.begun('b', host);
    host.finish('b', builtOk(digest));
    await soon(() => expect(lane.builds.counts().landed).toBe(1));
    lane.pass(30_000);
    expect(await lane.result('b')).toMatchObject({ status: 200, body: { digest } });
    await soon(() => expect(cases(host)).toEqual(['build', 'buildResult', 'buildAck']));
  });

  it('is 503 once the host has stayed away for its grace; the result that comes later still wins', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.begun('b', host);
    await lane.gone(host);
    const waits = lane.result('b');
    expect(await lane.result('b', 1)).toMatchObject({ status: 408 });
    lane.pass(900_000);
    const gone = error('b', 503, 'build_host_away', 'builder host disconnected', 'result');
    expect([await waits, await lane.result('b')]).toEqual([gone, gone]);
    host.finish('b', builtOk(digest));
    await host.connect();
    expect(await lane.result('b')).toMatchObject({ status: 200, body: { digest } });
  });
});
