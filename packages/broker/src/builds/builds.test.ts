import { HostedBuild_State } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { error, named, ok, setUp } from '../../test/builds.ts';

const { RUNNING, FINISHED } = HostedBuild_State;

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
    expect(builds.cancel('b')).toBe(false);
    expect(ids.size, 'and counts no more').toBe(0);
  });

  it('is answered again after it was read, from here, for an hour', async () => {
    const { builds, ids, stream, dispatch, poll, hear, pass } = setUp();
    const host = stream();
    dispatch('b', host);
    hear(host, 'b', ok('1'));
    poll('b').close(true);
    expect(builds.counts()).toEqual({ waiting: 0, landed: 0, remembered: 1 });
    host.told();
    pass(3_599_999);
    const again = poll('b');
    expect(await again.told()).toBe('1');
    again.close(true);
    expect([host.told(), ids.size], 'it is told once').toEqual([[], 0]);
    pass(1);
    expect(builds.poll('b')).toBe('unknown');
    expect(host.told(), 'in case it has not seen to it itself').toEqual(['remove b']);
  });

  it('goes, here and at its host, when it is removed; not while it runs', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const host = stream();
    dispatch('b', host);
    expect(builds.remove('b')).toBe('in flight');
    hear(host, 'b', ok('1'));
    poll('b').close(true);
    host.told();
    expect(builds.remove('b')).toBe('removed');
    expect(host.told()).toEqual(['remove b']);
    expect([builds.remove('b'), builds.poll('b')]).toEqual(['unknown', 'unknown']);
    dispatch('unread', host);
    hear(host, 'unread', ok('2'));
    expect(builds.remove('unread')).toBe('removed');
    expect(builds.counts()).toEqual({ waiting: 0, landed: 0, remembered: 0 });
  });

  it('that is removed while its host is away goes there when it is back', () => {
    const { builds, stream, dispatch, hear } = setUp();
    const [first, second] = [stream(), stream()];
    dispatch('b', first);
    hear(first, 'b', ok('1'));
    const nonce = first.given();
    builds.disconnected(first.host);
    expect(builds.remove('b')).toBe('removed');
    expect(builds.connected(second.host, named(['b', FINISHED, nonce]))).toBe(0);
    expect(second.told()).toEqual(['remove b']);
    expect(builds.poll('b')).toBe('unknown');
  });

  it('whose answer came while nobody waited is there for the next caller, also after replies that broke off', async () => {
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
    expect(await poll('b').told(), 'to a caller that asks again too').toBe('error 409');
    expect(builds.isInFlight('b')).toBe(false);
    expect(builds.remove('b')).toBe('removed');
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
    // However often it says it: nothing is kept for a host that does not read.
    host.stopReading();
    expect(hear(host, 'b', ok('1'))).toBe('duplicate');
    expect(host.told()).toEqual([]);
  });

  it('of another host, or for an unknown build, changes nothing', async () => {
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

  it('of a host of schema 1 is not asked for, nor acknowledged: it is kept here', async () => {
    const { builds, ids, stream, dispatch, poll, hear, pass } = setUp();
    const host = stream('h', 1);
    dispatch('read', host);
    dispatch('unread', host);
    hear(host, 'read', ok('1'));
    hear(host, 'unread', ok('2'));
    const one = poll('read');
    one.close(true);
    pass(30_000);
    for (const [id, digest] of [
      ['read', '1'],
      ['unread', '2'],
    ] as const) {
      const late = poll(id);
      expect(await late.told()).toBe(digest);
      late.close(false);
    }
    expect(ids.size, 'and does not count').toBe(0);
    pass(3_570_000);
    expect(builds.poll('read')).toBe('unknown');
    pass(24 * 3600_000);
    expect(builds.poll('unread')).toBe('unknown');
    expect(host.told()).toEqual(['build read', 'build unread']);
  });
});

describe('cancelling', () => {
  it('tells the host to cancel, also after it reconnects, until the answer has landed', async () => {
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

  it('nor by naming others each time that it connects', () => {
    const { builds, ids, stream } = setUp(10_000);
    const host = stream();
    for (let times = 0; times < 5; times += 1) {
      const others = Array.from({ length: 200 }, (_, n): [string, HostedBuild_State] => [
        `b${times}-${n}`,
        RUNNING,
      ]);
      builds.connected(host.host, named(...others));
    }
    expect(ids.size).toBe(256);
    expect(builds.cancel('b4-199')).toBe(true);
  });

  it('nor by never answering the question for a result', () => {
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

  it('what was read goes before what was not, the oldest first', async () => {
    const { builds, stream, dispatch, poll, hear } = setUp();
    const host = stream();
    const answer = (id: string) => {
      dispatch(id, host);
      hear(host, id, ok(id), 300);
    };
    for (const id of ['unread', 'a', 'b']) answer(id);
    for (const id of ['b', 'a']) poll(id).close(true);
    answer('c');
    expect(builds.evictions()).toBe(1);
    host.told();
    for (const id of ['unread', 'a', 'c']) expect(await poll(id).told()).toBe(id);
    const gone = poll('b');
    expect(host.told(), 'its host has it still').toEqual(['buildResult b']);
    hear(host, 'b', ok('b'), 300);
    expect(await gone.told()).toBe('b');
  });

  it('ten thousand results stay after they were read, and count against nothing', () => {
    const { builds, ids, stream, dispatch, poll, hear } = setUp(10);
    const hosts = Array.from({ length: 6 }, (_, n) => stream(`h${n}`, 1));
    for (let n = 0; n < 10_050; n += 1) {
      const host = hosts[n % 6] ?? expect.fail();
      expect(dispatch(`b${n}`, host)).toBe('sent');
      hear(host, `b${n}`, ok('1'), 0);
      poll(`b${n}`).close(true);
    }
    expect(builds.counts()).toEqual({ waiting: 0, landed: 0, remembered: 10_000 });
    expect(ids.size).toBe(0);
    expect([builds.poll('b49'), typeof builds.poll('b50')]).toEqual(['unknown', 'object']);
  });

  it('a thousand may wait for one build', () => {
    const { builds, stream, dispatch, poll } = setUp();
    dispatch('b', stream());
    for (let n = 0; n < 1000; n += 1) poll('b');
    expect(builds.poll('b')).toBe('too many');
  });
});

it('pollers learn that the broker stops; landed results are still delivered', async () => {
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
