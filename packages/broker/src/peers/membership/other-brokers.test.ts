import { expect, it } from 'vitest';
import { brokersToHear, listOthers } from './other-brokers.ts';

const address = '100.64.0.2:6444';
const living = (brokerId: string) => ({ brokerId, address, beat: 1, isDead: false, stillMs: 5 });
const dead = (brokerId: string) => ({ ...living(brokerId), isDead: true, stillMs: 90_000 });
const routed = (brokerId: string, routes = 1) => ({ brokerId, address, routes });
const heard = (brokerId: string, agoMs = 1000) => ({ brokerId, address, agoMs });
const many = (count: number, name: string) => Array.from({ length: count }, (_, n) => `${name}${n}`);

const none = { ownId: 'own', lives: [], routed: [], heard: [] };
const ids = (brokers: Iterable<{ brokerId: string }>) => [...brokers].map(({ brokerId }) => brokerId);

it('lists other brokers by their heartbeats and routes, those that are dead first', () => {
  const others = listOthers({
    ...none,
    lives: [living('b'), dead('c')],
    routed: [routed('old', 4), routed('own', 9), routed('c', 3)],
  });
  expect(others).toEqual([
    { brokerId: 'c', address, isDead: true, stillMs: 90_000, routes: 3 },
    { brokerId: 'b', address, isDead: false, stillMs: 5, routes: 0 },
    { brokerId: 'old', address, isDead: false, stillMs: undefined, routes: 4 },
  ]);
});

it('leaves out no broker that lives for names of dead ones, and none that has spoken for any names', () => {
  const lives = [...many(900, 'a-dead-').map(dead), living('real')];
  expect(ids(listOthers({ ...none, lives }))).toHaveLength(250);
  expect(ids(listOthers({ ...none, lives }))).toContain('real');
  const names = { lives: many(900, 'a').map(living), routed: many(900, 'b').map(id => routed(id)) };
  const spoken = {
    lives: [...names.lives, living('real')],
    routed: [...names.routed, routed('real-without-heartbeat')],
    heard: [heard('real'), heard('real-without-heartbeat')],
  };
  const others = ids(listOthers({ ...none, ...spoken }));
  expect(others).toHaveLength(250);
  expect(others).toEqual(expect.arrayContaining(['real', 'real-without-heartbeat']));
});

it('a broker that calls here counts as alive, also while its heartbeat has stopped', () => {
  const lives = [dead('cut'), dead('gone'), living('b')];
  const to = brokersToHear({
    lives,
    routed: [routed('gone'), routed('old')],
    heard: [heard('cut', 30_000), heard('gone', 90_000), heard('left', 90_000)],
  });
  expect(ids(to)).toEqual(['cut', 'left', 'b', 'old']);
});

it('hears those that speak first, and of names in routes no more than can be', () => {
  const all = ids(
    brokersToHear({ lives: [], routed: many(50_000, 'x').map(id => routed(id)), heard: [heard('b')] }),
  );
  expect(all).toHaveLength(1001);
  expect(all[0]).toBe('b');
});
