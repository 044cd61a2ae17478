import { HostedBuild_State } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { error, failed, named, ok, setUp } from '../../test/builds.ts';
import { type GivenBuilds, rememberGiven } from './build-given.ts';
import { createNonces } from './build-nonce.ts';

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

  it('and reconnects with the result: it is fetched for every waiting caller', async () => {
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

  it('and reconnects much later without naming it: the build is not part of its load', async () => {
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

  it('stays away: all callers learn it after the grace period, and the id is free once that was read', async () => {
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

  it('before the acknowledgement arrived gets it again', () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [first, second, third] = [stream(), stream(), stream()];
    dispatch('b', first);
    hear(first, 'b', ok('1'));
    builds.disconnected(first.host);
    poll('b').close(true);
    builds.connected(second.host, named(['b', FINISHED]));
    expect(second.told()).toEqual(['buildAck b']);
    expect(builds.isInFlight('b')).toBe(false);
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

/** A broker that finds the key of the one before it. */
const restarted = (given?: GivenBuilds) =>
  setUp(10, createNonces({ key: Buffer.alloc(32), believesUnsigned: false }), given);

describe('a build that was given up on one host and dispatched again to another', () => {
  /** What the hosts have when the broker is killed: the id twice, with the nonces of both dispatches. */
  function dispatchedTwice(given?: GivenBuilds) {
    const { builds, stream, dispatch, poll, pass } = restarted(given);
    const [first, second] = [stream('first'), stream('second')];
    dispatch('b', first);
    builds.disconnected(first.host);
    pass(900_000);
    poll('b').close(true);
    expect(dispatch('b', second)).toBe('sent');
    return { first: first.given(), second: second.given() };
  }

  it.each(['first', 'second'] as const)(
    'is answered by the second when the %s is back first',
    async order => {
      const nonces = dispatchedTwice();
      const { builds, stream, poll, hear } = restarted();
      const hosts = { first: stream('first'), second: stream('second') };
      const later = order === 'first' ? 'second' : 'first';
      builds.connected(hosts[order].host, named(['b', FINISHED, nonces[order]]));
      const one = poll('b');
      builds.connected(hosts[later].host, named(['b', FINISHED, nonces[later]]));
      hear(hosts.first, 'b', { case: 'build', value: { ...failed.value, nonce: nonces.first } });
      hear(hosts.second, 'b', { case: 'build', value: { ...ok('2').value, nonce: nonces.second } });
      expect(await one.told()).toBe('2');
      expect(hosts.first.told()).toContain('remove b');
      expect(hosts.second.told()).not.toContain('remove b');
    },
  );

  it.each([FINISHED, RUNNING])(
    'is not answered by the first, whose build is over or not (state %s), while the second is not back',
    async state => {
      // What brokers on this machine know of each other.
      const given = rememberGiven();
      const nonces = dispatchedTwice(given);
      const { builds, stream, poll, hear } = restarted(given);
      const [first, second] = [stream('first'), stream('second')];
      expect(builds.connected(first.host, named(['b', state, nonces.first]))).toBe(0);
      expect(builds.poll('b')).toBe('unknown');
      expect(first.told()).toEqual([state === FINISHED ? 'remove b' : 'cancelBuild b']);
      hear(first, 'b', { case: 'build', value: { ...failed.value, nonce: nonces.first } });
      expect(builds.poll('b')).toBe('unknown');
      expect(builds.connected(second.host, named(['b', RUNNING, nonces.second]))).toBe(0);
      const one = poll('b');
      hear(second, 'b', ok('2'));
      expect(await one.told()).toBe('2');
    },
  );

  it('is stopped on the first that still runs it, and its end there is removed', async () => {
    const nonces = dispatchedTwice();
    const { builds, stream, poll, hear } = restarted();
    const [first, second] = [stream('first'), stream('second')];
    builds.connected(first.host, named(['b', RUNNING, nonces.first]));
    const one = poll('b');
    builds.connected(second.host, named(['b', RUNNING, nonces.second]));
    expect(first.told()).toEqual(['cancelBuild b']);
    expect([builds.load('first'), builds.load('second')]).toEqual([0, 1]);
    expect(hear(first, 'b', { case: 'build', value: { ...failed.value, nonce: nonces.first } })).toBe(
      'duplicate',
    );
    expect(first.told()).toEqual(['remove b']);
    hear(second, 'b', ok('2'));
    expect(await one.told()).toBe('2');
  });

  it('is not answered by what the first had of it before, when that is its host again', async () => {
    const { builds, stream, dispatch, poll, hear } = restarted();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    const old = first.given();
    hear(first, 'b', ok('old'));
    poll('b').close(true);
    expect(dispatch('b', first)).toBe('sent');
    const one = poll('b');
    expect(hear(first, 'b', { case: 'build', value: { ...ok('old').value, nonce: old } })).toBe('duplicate');
    builds.disconnected(first.host);
    builds.connected(second.host, named(['b', FINISHED, old]));
    expect(second.told()).toEqual(['buildResult b', 'remove b']);
    hear(second, 'b', error(404));
    expect(await one.told()).toBe('lost');
  });
});

it('an answer about the former build of an id is not taken for an answer about the next one', async () => {
  const { builds, stream, dispatch, poll, hear } = setUp();
  const [first, second] = [stream(), stream()];
  dispatch('b', first);
  const former = first.given();
  builds.disconnected(first.host);
  builds.connected(second.host, named(['b', FINISHED, former]));
  poll('b').giveUp();
  expect(builds.remove('b')).toBe('removed');
  expect(dispatch('b', second)).toBe('sent');
  const one = poll('b');
  const late = { case: 'error', value: { code: 404, message: '', nonce: former } } as const;
  expect(hear(second, 'b', late)).toBeUndefined();
  hear(second, 'b', ok('1'));
  expect(await one.told()).toBe('1');
});

describe('a host that comes from another broker, whose key this one does not have', () => {
  /** What an honest host was given by that broker. */
  function givenElsewhere() {
    const { stream, dispatch } = setUp(
      10,
      createNonces({ key: Buffer.alloc(32, 7), believesUnsigned: true }),
    );
    const honest = stream('honest');
    dispatch('b', honest);
    return honest.given();
  }
  const later = 'zzzzzzzz-0123456789abcdef-AAAAAAAAAAAAAAAAAAAAAA';

  it.each([RUNNING, FINISHED])(
    'keeps its build (state %s) when a liar claims it with a later nonce',
    async state => {
      const nonce = givenElsewhere();
      const { builds, stream, poll, hear } = setUp();
      const [honest, liar] = [stream('honest'), stream('liar')];
      builds.connected(honest.host, named(['b', state, nonce]));
      const one = poll('b');
      expect(builds.connected(liar.host, named(['b', RUNNING, later]))).toBe(1);
      hear(liar, 'b', ok('forged'));
      expect(honest.told()).toEqual(state === FINISHED ? ['buildResult b'] : []);
      hear(honest, 'b', ok('1'));
      expect(await one.told()).toBe('1');
      expect(liar.told()).toEqual([]);
    },
  );

  it('keeps its build also when the impostor came first', () => {
    const nonce = givenElsewhere();
    const { builds, stream } = setUp();
    const [honest, liar] = [stream('honest'), stream('liar')];
    builds.connected(liar.host, named(['b', RUNNING, later]));
    expect(builds.connected(honest.host, named(['b', RUNNING, nonce]))).toBe(1);
    expect([honest.told(), liar.told()]).toEqual([[], []]);
  });

  it('gives way to a host that this broker itself gave the id', async () => {
    const nonce = givenElsewhere();
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [honest, own] = [stream('honest'), stream('own')];
    dispatch('b', own);
    expect(builds.connected(honest.host, named(['b', RUNNING, nonce]))).toBe(1);
    const one = poll('b');
    hear(honest, 'b', ok('other'));
    hear(own, 'b', ok('1'));
    expect(await one.told()).toBe('1');
    expect(honest.told()).toEqual([]);
  });
});

describe('a builder that has only heard of an id', () => {
  it.each([
    ['none', ''],
    ['one that it has made up', 'zzzzzzzz-0123456789abcdef-AAAAAAAAAAAAAAAAAAAAAA'],
    ['nonsense', '🙂'.repeat(1000)],
  ])('cannot claim it after a restart, with a nonce of its own: %s', async (_, forged) => {
    const before = restarted();
    const honest = before.stream('honest');
    before.dispatch('b', honest);
    const nonce = honest.given();
    const { builds, stream, poll, hear } = restarted();
    const [liar, back] = [stream('liar'), stream('honest')];
    expect(builds.connected(liar.host, named(['b', FINISHED, forged]))).toBe(1);
    expect(builds.connected(liar.host, named(['b', FINISHED, nonce])), 'nor with another’s').toBe(1);
    expect(builds.poll('b')).toBe('unknown');
    hear(liar, 'b', ok('forged'));
    expect(builds.connected(back.host, named(['b', RUNNING, nonce]))).toBe(0);
    const one = poll('b');
    builds.connected(liar.host, named(['b', FINISHED, forged]));
    hear(liar, 'b', ok('forged'));
    hear(back, 'b', ok('1'));
    expect(await one.told()).toBe('1');
    expect(liar.told()).toEqual([]);
  });

  it('is accepted by a broker without an older key, until the host that was given it reconnects', async () => {
    const before = restarted();
    const honest = before.stream('honest');
    before.dispatch('b', honest);
    const { builds, stream, poll, hear } = setUp();
    const [liar, back] = [stream('liar'), stream('honest')];
    builds.connected(liar.host, named(['b', RUNNING]));
    const one = poll('b');
    builds.connected(back.host, named(['b', RUNNING, honest.given()]));
    hear(liar, 'b', ok('forged'));
    hear(back, 'b', ok('1'));
    expect(await one.told()).toBe('1');
  });
});
