import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  BuildStack,
  type HostedBuild,
  HostedBuild_State,
  HostedBuildSchema,
  ResponseSchema,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import { describe, expect, it } from 'vitest';
import type { Poll } from './build-poll.ts';
import { type BuildOutcome, createBuilds } from './builds.ts';
import type { HostStream } from './hosts.ts';
import type { Hold } from './pending.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const { RUNNING, QUEUED, FINISHED } = HostedBuild_State;
const order = (requestId: string) =>
  create(ServerMsgSchema, { requestId, command: { case: 'build', value: { stack: BuildStack.STATIC } } });
const named = (...builds: [string, HostedBuild_State][]): HostedBuild[] =>
  builds.map(([requestId, state]) => create(HostedBuildSchema, { requestId, state }));
const ok = (digest: string): Body => ({
  case: 'build',
  value: { body: { case: 'ok', value: { digest } } },
});
const error = (code: number, message = ''): Body => ({ case: 'error', value: { code, message } });

function setUp(max = 10) {
  let time = 0;
  const ids = new Set<string>();
  const hold = (requestId: string): Hold => {
    if (ids.has(requestId)) return { kind: 'in flight' };
    if (ids.size >= max) return { kind: 'full' };
    ids.add(requestId);
    return { kind: 'held', release: () => void ids.delete(requestId) };
  };
  const options = { landedTtlMs: 30_000, landedMaxBytes: 1000, hostGraceMs: 900_000 };
  const builds = createBuilds({ pending: { hold }, now: () => time, ...options });
  const stream = (hostId = 'h', schemaMax = 2) => {
    const sent: ServerMsg[] = [];
    let reads = true;
    const host = {
      ...{ hostId, schemaMax },
      send: message => reads && sent.push(message) > 0,
      sendOwed: message => void sent.push(message),
    } as HostStream;
    const told = () => sent.splice(0).map(({ requestId, command }) => `${command.case} ${requestId}`);
    const stopReading = () => {
      reads = false;
    };
    return { host, told, stopReading };
  };
  const poll = (requestId: string) => {
    const begun = builds.poll(requestId);
    if (typeof begun === 'string') throw new Error(begun);
    return watch(begun);
  };
  return {
    ...{ builds, ids, stream, poll },
    dispatch: (requestId: string, { host }: ReturnType<typeof stream>) =>
      builds.dispatch(requestId, host, order(requestId)),
    hear: ({ host }: ReturnType<typeof stream>, requestId: string, body: Body, bytes = 10) =>
      builds.hear(host, create(ResponseSchema, { requestId, body }), bytes),
    pass(ms: number) {
      time += ms;
      builds.tick();
    },
  };
}

/** A poll and what it was told so far, read without waiting. */
function watch(poll: Poll) {
  const heard: BuildOutcome[] = [];
  void poll.outcome.then(outcome => heard.push(outcome));
  return {
    ...poll,
    told: async () => {
      await Promise.resolve();
      return heard.map(outcome => {
        if (outcome.kind !== 'answered') return outcome.kind;
        const { body } = outcome;
        if (body.case === 'error') return `error ${body.value.code}`;
        return body.case === 'build' && body.value.body.case === 'ok' ? body.value.body.value.digest : '?';
      })[0];
    },
  };
}

describe('a build', () => {
  it('is answered to all who wait together, and acknowledged once one of them has read it', async () => {
    const { builds, ids, stream, dispatch, poll, hear } = setUp();
    const host = stream();
    expect(dispatch('b', host)).toBe('sent');
    const [first, second] = [poll('b'), poll('b')];
    expect(hear(host, 'b', ok('1'))).toBe('delivered');
    const late = poll('b');
    expect(await Promise.all([first, second, late].map(one => one.told()))).toEqual(['1', '1', '1']);
    expect(host.told(), 'not before it was read').toEqual(['build b']);
    second.close(false);
    expect(builds.isInFlight('b')).toBe(true);
    first.close(true);
    expect(host.told()).toEqual(['buildAck b']);
    late.close(true);
    expect(host.told()).toEqual([]);
    expect(builds.poll('b')).toBe('unknown');
    expect(builds.cancel('b')).toBe(false);
    expect(ids.size).toBe(0);
  });

  it('whose answer came while nobody waited is there for the next, and after every reply that broke off', async () => {
    const { stream, dispatch, poll, hear } = setUp();
    const host = stream();
    dispatch('b', host);
    hear(host, 'b', ok('1'));
    const broken = poll('b');
    broken.close(false);
    const again = poll('b');
    expect(await again.told()).toBe('1');
  });

  it('that its host does not read is not sent, and its id is free', () => {
    const { builds, ids, stream, dispatch } = setUp();
    const host = stream();
    host.stopReading();
    expect(dispatch('b', host)).toBe('unread');
    expect(builds.poll('b')).toBe('unknown');
    expect(ids.size).toBe(0);
  });

  it('is in flight until its answer was read, wherever that is', () => {
    const { stream, dispatch, poll, hear, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    expect(dispatch('b', stream('other'))).toBe('in flight');
    hear(host, 'b', ok('1'));
    expect(dispatch('b', host)).toBe('in flight');
    pass(30_000);
    expect(dispatch('b', host)).toBe('in flight');
    const late = poll('b');
    hear(host, 'b', ok('1'));
    late.close(true);
    expect(dispatch('b', host)).toBe('sent');
  });

  it('that its host refuses is answered so, and nothing is acknowledged', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const host = stream();
    dispatch('b', host);
    const one = poll('b');
    hear(host, 'b', error(409));
    expect(await one.told()).toBe('error 409');
    one.close(true);
    expect(host.told(), 'what has this id on the host stays').toEqual(['build b']);
    expect(builds.poll('b')).toBe('unknown');
  });

  it('is not ended by a poller that leaves', async () => {
    const { builds, stream, dispatch, poll } = setUp();
    dispatch('b', stream());
    const [patient, hasty] = [poll('b'), poll('b')];
    hasty.giveUp();
    expect(await hasty.told()).toBe('timeout');
    hasty.close(true);
    expect(await patient.told()).toBeUndefined();
    expect(builds.counts()).toEqual({ waiting: 1, landed: 0, remembered: 0 });
  });
});

describe('an answer', () => {
  it('counts once, whatever its host says later', async () => {
    const { stream, dispatch, poll, hear } = setUp();
    const host = stream();
    dispatch('b', host);
    hear(host, 'b', ok('1'));
    expect(hear(host, 'b', ok('2'))).toBe('duplicate');
    const one = poll('b');
    expect(await one.told()).toBe('1');
    one.close(true);
    host.told();
    expect(hear(host, 'b', ok('1'))).toBe('duplicate');
    expect(host.told(), 'it was not told in vain').toEqual(['buildAck b']);
  });

  it('of another host, or for a build nobody knows, changes nothing', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [host, liar] = [stream(), stream('liar')];
    dispatch('b', host);
    const one = poll('b');
    expect(hear(liar, 'b', ok('forged'))).toBe('of another host');
    expect(hear(liar, 'b', error(500)), 'perhaps the other lane’s').toBeUndefined();
    expect(hear(host, 'unknown', ok('1'))).toBeUndefined();
    expect(await one.told()).toBeUndefined();
    expect(liar.told()).toEqual([]);
    expect(builds.poll('unknown')).toBe('unknown');
  });

  it('of an older stream of its host counts', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const [old, young] = [stream(), stream()];
    dispatch('b', old);
    builds.connected(young.host, named(['b', RUNNING]));
    builds.disconnected(old.host);
    const one = poll('b');
    hear(old, 'b', ok('1'));
    one.close(true);
    expect(young.told(), 'and is acknowledged on the newer').toEqual(['buildAck b']);
  });

  it('after its time is asked for again, at its host', async () => {
    const { builds, ids, stream, dispatch, poll, hear, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    hear(host, 'b', ok('1'));
    pass(30_000);
    expect(builds.counts()).toEqual({ waiting: 0, landed: 0, remembered: 1 });
    expect(ids.size, 'and counts no more').toBe(0);
    host.told();
    const [one, two] = [poll('b'), poll('b')];
    expect(host.told(), 'once').toEqual(['buildResult b']);
    hear(host, 'b', ok('1'));
    expect([await one.told(), await two.told()]).toEqual(['1', '1']);
    one.close(true);
    expect(host.told()).toEqual(['buildAck b']);
  });

  it('that is being written is kept until it was', async () => {
    const { builds, stream, dispatch, poll, hear, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    const slow = poll('b');
    hear(host, 'b', ok('1'));
    pass(60_000);
    expect(builds.counts().landed).toBe(1);
    slow.close(false);
    pass(29_999);
    expect(builds.counts().landed, 'a lost reply starts its time anew').toBe(1);
    pass(1);
    expect(builds.counts().landed).toBe(0);
  });

  it('that its host has no more is unknown', async () => {
    const { builds, stream, dispatch, poll, hear, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    hear(host, 'b', ok('1'));
    pass(30_000);
    const one = poll('b');
    hear(host, 'b', error(404));
    expect(await one.told()).toBe('unknown');
    expect(builds.poll('b')).toBe('unknown');
  });

  it('that its host cannot give at the moment stays where it is', async () => {
    const { stream, dispatch, poll, hear, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    hear(host, 'b', ok('1'));
    pass(30_000);
    const one = poll('b');
    hear(host, 'b', error(500));
    expect(await one.told()).toBe('error 500');
    one.close(true);
    host.told();
    const again = poll('b');
    expect(host.told()).toEqual(['buildResult b']);
    hear(host, 'b', ok('1'));
    expect(await again.told()).toBe('1');
  });

  it('of a host of schema 1 is not asked for, nor acknowledged', async () => {
    const { builds, stream, dispatch, poll, hear, pass } = setUp();
    const host = stream('h', 1);
    dispatch('read', host);
    dispatch('unread', host);
    hear(host, 'read', ok('1'));
    hear(host, 'unread', ok('2'));
    const one = poll('read');
    one.close(true);
    pass(30_000);
    expect(builds.poll('unread')).toBe('unknown');
    expect(host.told()).toEqual(['build read', 'build unread']);
  });
});

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

describe('cancelling', () => {
  it('tells the host, again too, until the answer landed', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const host = stream();
    dispatch('b', host);
    expect([builds.cancel('b'), builds.cancel('b')]).toEqual([true, true]);
    expect(host.told()).toEqual(['build b', 'cancelBuild b', 'cancelBuild b']);
    const one = poll('b');
    hear(host, 'b', ok('it had ended before'));
    expect(await one.told()).toBe('it had ended before');
    expect(builds.cancel('b')).toBe(false);
  });

  it.each([1, 2])('waits for a host of schema %i that is away', schemaMax => {
    const { builds, stream, dispatch } = setUp();
    const [first, second] = [stream('h', schemaMax), stream('h', schemaMax)];
    dispatch('b', first);
    builds.disconnected(first.host);
    expect(builds.cancel('b')).toBe(true);
    builds.connected(second.host, named(['b', RUNNING]));
    expect(second.told()).toEqual(['cancelBuild b']);
  });

  it('reaches a host that reads nothing, once', () => {
    const { builds, stream, dispatch } = setUp();
    const host = stream();
    dispatch('b', host);
    host.stopReading();
    for (let i = 0; i < 5; i += 1) builds.cancel('b');
    expect(host.told()).toEqual(['build b', 'cancelBuild b']);
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

describe('bounds', () => {
  it('the cap counts what waits and what landed', () => {
    const { builds, stream, dispatch, hear, pass } = setUp(2);
    const host = stream();
    dispatch('landed', host);
    hear(host, 'landed', ok('1'));
    dispatch('waiting', host);
    expect(dispatch('more', host)).toBe('full');
    builds.disconnected(host.host);
    pass(929_999);
    expect(dispatch('more', stream('other')), 'what landed is not here any more').toBe('sent');
    pass(1);
    expect(dispatch('again', stream('other')), 'what an absent host has does not count').toBe('sent');
  });

  it('a host cannot use up the cap by naming builds, and they work all the same', async () => {
    const { builds, ids, stream, poll, hear } = setUp(10_000);
    const host = stream();
    const many = Array.from({ length: 1000 }, (_, n): [string, HostedBuild_State] => [`b${n}`, RUNNING]);
    builds.connected(host.host, named(...many));
    expect(ids.size).toBe(256);
    expect(builds.cancel('b999')).toBe(true);
    const one = poll('b999');
    hear(host, 'b999', ok('1'));
    expect(await one.told()).toBe('1');
  });

  it('nor by never answering what it is asked', () => {
    const { builds, ids, stream, poll } = setUp();
    const host = stream();
    builds.connected(host.host, named(['a', FINISHED], ['b', FINISHED]));
    for (const id of ['a', 'b']) {
      const one = poll(id);
      expect(ids.has(id)).toBe(true);
      one.giveUp();
    }
    expect(ids.size).toBe(0);
  });

  it('what is remembered of one host is bounded, and of no other host on its account', () => {
    const { builds, stream } = setUp();
    const many = Array.from({ length: 5000 }, (_, n): [string, HostedBuild_State] => [`b${n}`, FINISHED]);
    builds.connected(stream('other').host, named(['theirs', FINISHED]));
    builds.connected(stream().host, named(...many));
    expect(builds.counts().remembered).toBe(2001);
    expect(builds.poll('b0')).toBe('unknown');
    expect(builds.poll('b4999')).not.toBe('unknown');
    expect(builds.poll('theirs')).not.toBe('unknown');
  });

  it('results that landed are bounded in bytes: the oldest are asked for again', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const host = stream();
    for (const id of ['a', 'b', 'c']) {
      dispatch(id, host);
      hear(host, id, ok(id), 400);
    }
    expect(builds.counts()).toEqual({ waiting: 0, landed: 2, remembered: 1 });
    host.told();
    poll('a');
    expect(host.told()).toEqual(['buildResult a']);
    hear(host, 'a', ok('a'), 400);
  });

  it('a thousand may wait for one build', () => {
    const { builds, stream, dispatch, poll } = setUp();
    dispatch('b', stream());
    for (let n = 0; n < 1000; n += 1) poll('b');
    expect(builds.poll('b')).toBe('too many');
  });
});

it('pollers are told that the broker stops; what has landed they still get', async () => {
  const { builds, stream, dispatch, poll, hear } = setUp();
  const host = stream();
  dispatch('a', host);
  dispatch('b', host);
  hear(host, 'b', ok('1'));
  const one = poll('a');
  builds.stop();
  expect([await one.told(), await poll('a').told(), await poll('b').told()]).toEqual([
    'stopping',
    'stopping',
    '1',
  ]);
});
