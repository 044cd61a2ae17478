import { HostedBuild_State } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { error, named, ok, setUp } from './builds-testing.ts';

const { RUNNING, QUEUED, FINISHED } = HostedBuild_State;

describe('a host that goes', () => {
  it('and comes back running it still answers it', async () => {
    const { builds, stream, dispatch, poll, hear, pass } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    const one = poll('b');
    builds.disconnected(first.host);
    pass(899_999);
    expect(builds.connected(second.host, named(['b', QUEUED]))).toBe(0);
    pass(899_999);
    expect(await one.told()).toBeUndefined();
    hear(second, 'b', ok('1'));
    expect(await one.told()).toBe('1');
  });

  it('and comes back with the result is asked for it by whoever waits', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    const one = poll('b');
    builds.disconnected(first.host);
    builds.connected(second.host, named(['b', FINISHED]));
    expect(second.told()).toEqual(['buildResult b']);
    hear(second, 'b', ok('1'));
    expect(await one.told()).toBe('1');
  });

  it('and comes back without it has lost it', async () => {
    const { builds, ids, stream, dispatch, poll, hear } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    const one = poll('b');
    builds.disconnected(first.host);
    builds.connected(second.host, []);
    expect([await one.told(), second.told()], 'not before it said so').toEqual([
      undefined,
      ['buildResult b'],
    ]);
    hear(second, 'b', error(404));
    expect(await one.told()).toBe('lost');
    one.close(true);
    expect([builds.poll('b'), ids.size, second.told()]).toEqual(['unknown', 0, []]);
  });

  it('and comes back without naming it may still answer it', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    builds.connected(second.host, []);
    hear(second, 'b', ok('1'));
    expect(await poll('b').told()).toBe('1');
  });

  it('and comes back long after without naming it is no busier for it', async () => {
    const { builds, stream, dispatch, poll, hear, pass } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    builds.disconnected(first.host);
    pass(930_000);
    expect(builds.load('h')).toBe(1);
    builds.connected(second.host, []);
    expect(builds.load('h')).toBe(0);
    const one = poll('b');
    expect(second.told()).toEqual(['buildResult b']);
    hear(second, 'b', error(404));
    expect(await one.told()).toBe('unknown');
  });

  it('stays away: all are told after the grace, and the id may be used again once that was read', async () => {
    const { builds, stream, dispatch, poll, pass } = setUp();
    const [first, other] = [stream(), stream('other')];
    dispatch('b', first);
    const one = poll('b');
    builds.disconnected(first.host);
    pass(899_999);
    expect(await one.told()).toBeUndefined();
    pass(1);
    expect(await one.told()).toBe('host gone');
    expect(await poll('b').told(), 'who comes now, at once').toBe('host gone');
    expect(dispatch('b', other)).toBe('in flight');
    one.close(true);
    expect(dispatch('b', other)).toBe('sent');
    const back = stream();
    expect(builds.connected(back.host, named(['b', RUNNING]))).toBe(0);
    expect(back.told(), 'the former is stopped: its image has the name of the latter').toEqual([
      'cancelBuild b',
    ]);
  });

  it('stays away, and the result that comes later still wins while the id was not used again', async () => {
    const { builds, stream, dispatch, poll, hear, pass } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    builds.disconnected(first.host);
    pass(2_000_000);
    const early = poll('b');
    expect(await early.told()).toBe('host gone');
    early.close(true);
    builds.connected(second.host, named(['b', FINISHED]));
    const late = poll('b');
    hear(second, 'b', ok('1'));
    expect(await late.told()).toBe('1');
  });

  it('and is back before its absence was read as such is not given up', async () => {
    const { builds, stream, dispatch, poll, pass } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    builds.disconnected(first.host);
    pass(900_000);
    const [one, two] = [poll('b'), poll('b')];
    one.close(true);
    builds.connected(second.host, named(['b', RUNNING]));
    two.close(true);
    expect(dispatch('b', stream('other'))).toBe('in flight');
  });

  it('and names after all what it had seemed to have lost has it', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [first, second, third] = [stream(), stream(), stream()];
    for (const id of ['ran', 'ended', 'answered']) dispatch(id, first);
    builds.connected(second.host, []);
    for (const id of ['ran', 'ended', 'answered']) hear(second, id, error(404));
    const one = poll('answered');
    expect(await one.told()).toBe('lost');
    hear(second, 'answered', ok('1'));
    one.close(true);
    const two = poll('answered');
    expect(await two.told(), 'that nobody has read').toBe('1');
    builds.connected(third.host, named(['ran', RUNNING], ['ended', FINISHED], ['answered', FINISHED]));
    expect(builds.counts()).toEqual({ waiting: 1, landed: 1, remembered: 1 });
    const [ran, ended] = [poll('ran'), poll('ended')];
    expect(third.told()).toEqual(['buildResult ended']);
    hear(third, 'ran', ok('2'));
    hear(third, 'ended', ok('3'));
    expect([await ran.told(), await ended.told()]).toEqual(['2', '3']);
  });

  it('for longer than hosts keep results is forgotten', () => {
    const { builds, stream, dispatch, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    builds.disconnected(host.host);
    pass(24 * 3600_000);
    expect(builds.poll('b')).toBe('unknown');
    expect(builds.counts()).toEqual({ waiting: 0, landed: 0, remembered: 0 });
  });

  it('before its acknowledgement came is told again', () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [first, second, third] = [stream(), stream(), stream()];
    dispatch('b', first);
    hear(first, 'b', ok('1'));
    builds.disconnected(first.host);
    poll('b').close(true);
    builds.connected(second.host, named(['b', FINISHED]));
    expect(second.told()).toEqual(['buildAck b']);
    expect(builds.poll('b')).toBe('unknown');
    builds.connected(third.host, []);
    expect(third.told()).toEqual([]);
  });
});

describe('an id that the other lane uses meanwhile', () => {
  it('is not asked for, and an error for it is that lane’s', async () => {
    const { builds, ids, stream, dispatch, poll, hear, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    hear(host, 'b', ok('1'));
    pass(30_000);
    ids.add('b');
    host.told();
    const one = poll('b');
    expect(host.told()).toEqual([]);
    expect(hear(host, 'b', error(404))).toBeUndefined();
    one.giveUp();
    ids.delete('b');
    const two = poll('b');
    expect(host.told()).toEqual(['buildResult b']);
    hear(host, 'b', ok('1'));
    expect(await two.told()).toBe('1');
    expect(builds.counts().landed).toBe(1);
  });

  it('while it was asked for without room for it, neither', async () => {
    const { builds, ids, stream, poll, hear } = setUp(1);
    const host = stream();
    builds.connected(host.host, named(['b', FINISHED]));
    ids.add('other');
    const one = poll('b');
    expect(host.told(), 'all the same').toEqual(['buildResult b']);
    ids.delete('other');
    ids.add('b');
    expect(hear(host, 'b', error(404))).toBeUndefined();
    hear(host, 'b', ok('1'));
    expect(await one.told()).toBe('1');
  });
});

describe('a broker that has just started', () => {
  it('learns what its hosts have: results are asked for, the rest is waited for and can be cancelled', async () => {
    const { builds, stream, poll, hear } = setUp();
    const host = stream();
    builds.connected(host.host, named(['run', RUNNING], ['wait', QUEUED], ['done', FINISHED]));
    expect(builds.counts()).toEqual({ waiting: 2, landed: 0, remembered: 1 });
    expect(builds.load('h')).toBe(2);
    expect([builds.cancel('run'), builds.cancel('wait'), builds.cancel('done')]).toEqual([true, true, false]);
    const [run, done] = [poll('run'), poll('done')];
    expect(host.told()).toEqual(['cancelBuild run', 'cancelBuild wait', 'buildResult done']);
    hear(host, 'done', ok('1'));
    hear(host, 'run', ok('2'));
    expect([await done.told(), await run.told()]).toEqual(['1', '2']);
  });

  it('refuses ids that are none, and those that another host has', () => {
    const { builds, stream, dispatch } = setUp();
    const [honest, liar] = [stream(), stream('liar')];
    dispatch('b', honest);
    expect(builds.connected(liar.host, named(['b', RUNNING], ['../x', FINISHED]))).toBe(2);
    builds.cancel('b');
    expect(honest.told()).toEqual(['build b', 'cancelBuild b']);
    expect(liar.told()).toEqual([]);
  });
});
