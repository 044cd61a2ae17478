import { expect, it } from 'vitest';
import { createBrokerLives } from './broker-lives.ts';

const ttlMs = 40_000;

/** A broker `me` that beats every 10 s, and what it takes the others for. */
function setUp(max?: number) {
  let time = 1000;
  const told: string[] = [];
  const lives = createBrokerLives({
    ownId: 'me',
    ttlMs,
    now: () => time,
    ...(max === undefined ? {} : { max }),
    died: ({ brokerId, stillMs }) => void told.push(`${brokerId} died after ${stillMs}`),
    revived: ({ brokerId }) => void told.push(`${brokerId} is back`),
  });
  let beat = 0;
  const say = (brokerId: string, value: number) =>
    lives.put({ brokerId, address: `${brokerId}:1`, beat: value });
  return {
    lives,
    told,
    say,
    /** So many of its own heartbeats come back, 10 s apart; `others` beat with each. */
    beats(times: number, ...others: string[]) {
      for (let n = 0; n < times; n += 1) {
        time += 10_000;
        beat += 1;
        for (const other of others) say(other, beat);
        say('me', beat);
      }
    },
    pass(ms: number) {
      time += ms;
    },
  };
}

it('a broker is dead once its heartbeat has not changed for the time, said once, and back with the next one', () => {
  const t = setUp();
  t.beats(2, 'b1', 'b2');
  t.beats(3, 'b1');
  expect(t.lives.isDead('b2')).toBe(false);
  t.beats(1, 'b1');
  expect([t.lives.isDead('b1'), t.lives.isDead('b2')]).toEqual([false, true]);
  t.beats(5, 'b1');
  expect(t.told).toEqual(['b2 died after 40000']);
  expect(t.lives.list().find(({ brokerId }) => brokerId === 'b2')).toMatchObject({
    isDead: true,
    stillMs: 90_000,
  });
  t.say('b2', 1);
  expect(t.lives.isDead('b2')).toBe(false);
  expect(t.told).toEqual(['b2 died after 40000', 'b2 is back']);
});

it('only that it changes counts: the clock of the other may be an hour off, and be set back', () => {
  const t = setUp();
  t.beats(1);
  for (const beat of [3_600_000, 3_610_000, 5, 4, 3, -7]) {
    t.say('b1', beat);
    t.beats(1);
  }
  expect(t.told).toEqual([]);
});

it('a broker without a heartbeat, of an older version, is never dead', () => {
  const t = setUp();
  t.beats(100);
  expect(t.lives.isDead('old')).toBe(false);
});

it('while Corrosion reports nothing, not even its own heartbeat, none is dead; afterwards each has the whole time again', () => {
  const t = setUp();
  t.beats(3, 'b1');
  t.pass(600_000);
  expect(t.lives.isDead('b1')).toBe(false);
  t.beats(1);
  expect(t.lives.isDead('b1'), 'its word may still be on its way').toBe(false);
  t.beats(3);
  expect(t.lives.isDead('b1')).toBe(false);
  t.beats(1);
  expect(t.lives.isDead('b1')).toBe(true);
});

it('one that was dead stays dead over a silence, and is not gone for longer by it', () => {
  const t = setUp();
  t.beats(1, 'b1');
  t.beats(5);
  expect(t.lives.isDead('b1')).toBe(true);
  t.pass(3_600_000);
  t.beats(1);
  expect(t.lives.list()).toMatchObject([{ isDead: true, stillMs: ttlMs }]);
});

it('rows that are read again do not count as heartbeats', () => {
  const t = setUp();
  t.beats(1, 'b1');
  for (let n = 0; n < 4; n += 1) {
    t.lives.begin();
    t.lives.load({ brokerId: 'b1', address: 'b1:1', beat: 1 });
    t.lives.finish();
    t.beats(1);
  }
  expect(t.lives.isDead('b1')).toBe(true);
  t.lives.begin();
  t.lives.finish();
  expect(t.lives.isDead('b1'), 'its row is gone').toBe(false);
});

it('keeps no more brokers than it may, and those that it knows', () => {
  const t = setUp(2);
  for (const brokerId of ['b1', 'b2', 'b3']) t.say(brokerId, 1);
  t.say('b1', 2);
  expect(t.lives.list().map(({ brokerId, beat }) => [brokerId, beat])).toEqual([
    ['b1', 2],
    ['b2', 1],
  ]);
});
