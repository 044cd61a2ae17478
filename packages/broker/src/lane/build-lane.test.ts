import { builtOk } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { cases, digest, error, setUpLane } from '../../test/build-lane.ts';

describe('a build', () => {
  it('is taken, built and read, again too, until it is removed, here and at its host', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    expect(await lane.dispatch('b-1')).toEqual({ status: 202, body: { request_id: 'b-1' } });
    const polls = [lane.result('b-1'), lane.result('b-1', 999_999_999)];
    await soon(() => expect(host.builds.has('b-1')).toBe(true));
    expect(host.commands[0]).toMatchObject({ requestId: 'b-1', command: { value: { gitRef: 'main' } } });
    await soon(() => expect(lane.poll).toHaveBeenCalledTimes(2));
    host.finish('b-1', builtOk(digest, 61_000n));
    const read = {
      request_id: 'b-1',
      status: 'ok',
      digest,
      registry_ref: `localhost/app@${digest}`,
      duration_ms: 61_000,
    };
    expect(await Promise.all(polls)).toEqual([
      { status: 200, body: read },
      { status: 200, body: read },
    ]);
    await soon(() => expect(host.read.has('b-1')).toBe(true));
    expect(cases(host)).toEqual(['build', 'buildAck']);
    const first = await lane.http.request({ path: '/v1/build/result/b-1' });
    expect(first.json()).toEqual(read);
    expect((await lane.http.request({ path: '/v1/build/result/b-1' })).text).toBe(first.text);
    expect((await lane.http.request({ path: '/v1/build/b-1/events' })).status).toBe(200);
    expect(await lane.remove('b-1')).toEqual({ status: 204 });
    await soon(() => expect(host.builds.size).toBe(0));
    expect(await lane.result('b-1')).toEqual(
      error('b-1', 404, 'request_id_unknown', 'unknown request_id', 'result'),
    );
    expect(await lane.remove('b-1')).toEqual(
      error('b-1', 404, 'request_id_unknown', 'unknown request_id', 'delete'),
    );
  });

  it('cannot be removed while it runs', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.begun('b', host);
    const message = 'the build has not ended: cancel it first';
    expect(await lane.remove('b')).toEqual(error('b', 409, 'build_not_ended', message, 'delete'));
    host.finish('b', builtOk(digest));
    expect((await lane.result('b')).status).toBe(200);
  });

  it('is answered to a caller that asks again after the broker was restarted', async () => {
    await using before = await setUpLane();
    const host = await before.builder('h');
    await before.begun('b', host);
    host.finish('b', builtOk(digest));
    const { body } = await before.result('b');
    await soon(() => expect(host.read.has('b')).toBe(true));
    await using after = await setUpLane();
    await host.connect(after.address);
    expect(await after.result('b')).toEqual({ status: 200, body });
    expect(cases(host), 'it knows already that this was read').toEqual(['build', 'buildAck', 'buildResult']);
    expect((await after.dispatch('b')).status, 'its id is free').toBe(202);
    await soon(() => expect(host.builds.get('b'), 'and its host takes it').toBeUndefined());
  });

  it('with push goes to a host of schema 2; without one the refusal says so', async () => {
    await using lane = await setUpLane();
    await lane.builder('old', { schemaMax: 1 });
    const push = { auth: { username: 'robot', password: 'geheim' } };
    const needs = (what: string) => `static_build with ${what} needs schema 2, host old speaks up to 1`;
    const pin = { host_id: 'old' };
    expect((await lane.dispatch('b', { push }, pin)).body).toMatchObject({
      code: 501,
      message: needs('push'),
      field: 'command.push',
    });
    expect((await lane.dispatch('b', { base_images: ['localhost/base:1'] }, pin)).body).toMatchObject({
      code: 501,
      message: needs('base_images'),
      field: 'command.base_images',
    });
    const young = await lane.builder('young');
    for (const [id, more] of [
      ['a', { push, base_images: ['localhost/base:1'] }],
      ['c', { push: [] }],
    ] as const)
      expect(await lane.dispatch(id, more)).toMatchObject({ status: 202 });
    await soon(() => expect(young.commands).toHaveLength(2));
    const [first, second] = young.commands.map(({ command }) => command.value);
    expect(first).toMatchObject({
      push,
      baseImages: ['localhost/base:1'],
      nonce: expect.stringMatching(/./),
    });
    expect(second).toMatchObject({ push: expect.not.objectContaining({ auth: expect.anything() }) });
  });

  it('that fails has its stage and reason in the envelope', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.begun('b', host);
    const failure = { code: 422, message: 'no such ref', stage: 'git' };
    host.finish('b', { case: 'build', value: { body: { case: 'err', value: failure } } });
    expect(await lane.result('b')).toEqual({
      status: 200,
      body: { request_id: 'b', status: 'error', reason: 'repository_unusable', ...failure },
    });
  });

  it('that its host refuses is the host’s error, and one that answers nonsense is ours', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    for (const id of ['refused', 'empty', 'odd']) await lane.dispatch(id);
    await soon(() => expect(host.builds.size).toBe(3));
    const value = { code: 503, message: 'disk full', field: 'host' };
    host.finish('refused', { case: 'error', value });
    host.finish('empty', { case: 'build', value: {} });
    host.finish('odd', { case: 'listContainers', value: {} });
    expect(await lane.result('refused')).toEqual({
      status: 200,
      body: { request_id: 'refused', status: 'error', reason: 'unavailable', stage: 'dispatch', ...value },
    });
    expect(await lane.result('empty')).toMatchObject({ status: 500, body: { stage: 'result' } });
    expect(await lane.result('odd')).toMatchObject({ status: 500, body: { stage: 'result' } });
  });

  it('of a dockerfile needs a host of schema 2', async () => {
    await using lane = await setUpLane();
    await lane.builder('old', { schemaMax: 1 });
    const more = { type: 'dockerfile_build', build_args: { A: '1' } };
    expect(await lane.dispatch('b', more)).toMatchObject({
      status: 501,
      body: { stage: 'dispatch', field: 'command.type' },
    });
    const young = await lane.builder('young');
    expect((await lane.dispatch('b', more)).status).toBe(202);
    await soon(() => expect(young.commands).toHaveLength(1));
    expect(young.commands[0]?.command.value).toMatchObject({ dockerfileCfg: { buildArgs: { A: '1' } } });
  });
});

describe('dispatch', () => {
  it('is 503 where no host can build it', async () => {
    await using lane = await setUpLane();
    expect(await lane.dispatch('b')).toEqual(
      error('b', 503, 'no_builder', 'no builder-capable host connected', 'dispatch'),
    );
    await lane.builder('plain', { capabilities: ['coold'] });
    const pinned = error('b', 503, 'no_builder', 'host has no builder capability', 'dispatch');
    expect(await lane.dispatch('b', {}, { host_id: 'plain' })).toEqual(pinned);
    expect(await lane.dispatch('b', {}, { host_id: 'unknown' })).toEqual(pinned);
  });

  it('is 400 with the field for an invalid build, and for a cancel', async () => {
    await using lane = await setUpLane();
    for (const [more, field] of [
      [{ type: 'cancel' }, 'command.type'],
      [{ git_ref: 1 }, 'command.git_ref'],
    ] as const) {
      const { status, body } = await lane.dispatch('b', more);
      expect([status, body]).toMatchObject([400, { request_id: 'b', stage: 'dispatch', field }]);
    }
    const malformed = await lane.http.request({
      method: 'POST',
      path: '/v1/build/dispatch',
      body: '{',
      headers: { 'content-type': 'application/json' },
    });
    expect([malformed.status, malformed.json()]).toMatchObject([400, { code: 400, stage: 'dispatch' }]);
  });

  it('is 409 as long as a build has the id, also while its host is away, and on both lanes', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    const again = { ...error('b', 409, 'request_id_in_flight', 'request_id already in flight', 'dispatch') };
    expect(await lane.dispatch('b')).toEqual({ ...again, body: { ...again.body, field: 'request_id' } });
    const coold = { host_id: 'h', request_id: 'b', command: { type: 'list_containers' } };
    expect((await lane.post('/v1/coold/dispatch', coold)).status).toBe(409);
    await lane.gone(host);
    expect((await lane.dispatch('b')).status).toBe(409);
  });

  it('is 503 at the cap, which counts both lanes', async () => {
    await using lane = await setUpLane({ max: 2 });
    await lane.builder('h');
    await lane.dispatch('b-1');
    await lane.dispatch('b-2');
    const { status, body } = await lane.dispatch('b-3');
    expect([status, body]).toMatchObject([
      503,
      { message: 'broker at pending-dispatch capacity', stage: 'dispatch' },
    ]);
    const coold = { host_id: 'h', request_id: 'c', command: { type: 'list_containers' } };
    expect((await lane.post('/v1/coold/dispatch', coold)).status).toBe(503);
  });

  it('shares the work by free places, and what is queued can be seen', async () => {
    await using lane = await setUpLane();
    const large = await lane.builder('large', { capacity: 2 });
    const small = await lane.builder('small', { capacity: 1 });
    for (let n = 0; n < 5; n += 1) await lane.dispatch(`b-${n}`);
    await lane.dispatch('pinned', {}, { host_id: 'small' });
    await soon(() => expect([large.builds.size, small.builds.size]).toEqual([3, 3]));
    const streams = (await lane.get('/v1/streams')).body as unknown as { host_id: string; builds: object }[];
    expect(streams.map(({ host_id, builds }) => [host_id, builds])).toEqual([
      ['large', { running: 2, queued: 1 }],
      ['small', { running: 1, queued: 2 }],
    ]);
  });

  it('gives a host that claims more places than any has its share, and no more', async () => {
    await using lane = await setUpLane();
    await lane.builder('greedy', { capacity: 4_294_967_295 });
    const honest = await lane.builder('honest', { capacity: 64 });
    for (let n = 0; n < 10; n += 1) await lane.dispatch(`b-${n}`);
    await soon(() => expect(honest.builds.size).toBe(5));
    const streams = (await lane.get('/v1/streams')).body as unknown as { builder_capacity: number }[];
    expect(streams.map(({ builder_capacity }) => builder_capacity)).toEqual([64, 64]);
  });

  it('is 503 to a host that does not read, and the id is free', async () => {
    await using lane = await setUpLane();
    await lane.builder('h');
    const [stream] = lane.hosts.list();
    if (stream === undefined) expect.fail();
    lane.hosts.add({ ...stream, send: () => false });
    expect(await lane.dispatch('b')).toEqual(
      error('b', 503, 'host_not_reading', 'host does not read its stream', 'dispatch'),
    );
    expect(await lane.result('b')).toMatchObject({ status: 404 });
    lane.hosts.add(stream);
    expect((await lane.dispatch('b')).status).toBe(202);
  });
});

describe('cancel', () => {
  it('is 204 while the build runs, again too, and 404 once it landed', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    const cancel = () => lane.post('/v1/build/b/cancel');
    expect([await cancel(), await cancel()]).toEqual([{ status: 204 }, { status: 204 }]);
    await soon(() => expect(cases(host)).toEqual(['build', 'cancelBuild', 'cancelBuild']));
    const cancelled = { code: 499, message: 'cancelled', stage: 'cancel' };
    host.finish('b', { case: 'build', value: { body: { case: 'err', value: cancelled } } });
    await soon(() => expect(lane.builds.counts().landed).toBe(1));
    const landed = error('b', 404, 'request_id_unknown', 'request_id not in flight', 'cancel');
    expect(await cancel()).toEqual(landed);
    expect(await lane.result('b')).toMatchObject({ status: 200, body: cancelled });
    expect(await cancel()).toEqual(landed);
    // As PHP posts nothing.
    const headers = { 'content-type': 'application/json' };
    const plain = await lane.http.request({ method: 'POST', path: '/v1/build/unknown/cancel', headers });
    expect(plain.status).toBe(404);
  });

  it('of a build whose host is away is delivered when it returns', async () => {
    await using lane = await setUpLane();
    const host = await lane.builder('h');
    await lane.begun('b', host);
    await lane.gone(host);
    expect((await lane.post('/v1/build/b/cancel')).status).toBe(204);
    await host.connect();
    await soon(() => expect(cases(host)).toEqual(['build', 'cancelBuild']));
  });
});
