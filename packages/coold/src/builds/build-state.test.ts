import { describe, expect, it } from 'vitest';
import { Build } from './build-state.ts';
import { failed } from './folder/build-outcome.ts';

const outcome = failed(422, 'no such ref', 'git');
const build = () => new Build({ requestId: 'b', nonce: '', stack: 'static', created: Promise.resolve(true) });
const inState = {
  queued: build,
  running() {
    const one = build();
    one.run();
    return one;
  },
  unread() {
    const one = build();
    one.run();
    one.finish(outcome, 5);
    return one;
  },
  read() {
    const one = inState.unread();
    one.markRead(9);
    return one;
  },
};
type Name = keyof typeof inState;
const names: Name[] = ['queued', 'running', 'unread', 'read'];
const transitions: [name: string, change: (one: Build) => void, to: Partial<Record<Name, Name>>][] = [
  ['run', one => one.run(), { queued: 'running' }],
  ['requeue', one => one.requeue(), { running: 'queued' }],
  ['finish', one => one.finish(outcome, 5), { queued: 'unread', running: 'unread' }],
];

describe.each(transitions)('%s', (_, change, to) => {
  it.each(names)('from %s', from => {
    const one = inState[from]();
    const next = to[from];
    if (next === undefined) {
      expect(() => change(one)).toThrow(`build b is ${from}`);
      expect(one.state.name).toBe(from);
    } else {
      change(one);
      expect(one.state.name).toBe(next);
    }
  });
});

describe('markRead', () => {
  it.each(names)('from %s', from => {
    const one = inState[from]();
    expect(one.markRead(7)).toBe(from === 'unread');
    expect(one.state.name).toBe(from === 'unread' ? 'read' : from);
    expect(one.finished?.readAt).toBe({ queued: undefined, running: undefined, unread: 7, read: 9 }[from]);
  });
});

it('resolves ended when it finishes, and keeps the outcome and its time', async () => {
  const one = inState.running();
  let hasEnded = false;
  const waiting = one.ended.then(() => {
    hasEnded = true;
  });
  await Promise.resolve();
  expect(hasEnded).toBe(false);
  expect(one.finished).toBeUndefined();
  one.finish(outcome, 5);
  await waiting;
  expect(one.finished).toMatchObject({ outcome, changedAt: 5, readAt: undefined });
});

it('finishes as read where an earlier coold recorded that', () => {
  const one = build();
  one.finish(outcome, 5, 6);
  expect(one.state).toEqual({ name: 'read', outcome, changedAt: 5, readAt: 6 });
});

it('records the first request for a cancel alone, and stays in its state', () => {
  const one = inState.running();
  expect(one.isCancelled).toBe(false);
  expect(one.requestCancel()).toBe(true);
  expect(one.requestCancel()).toBe(false);
  expect(one.isCancelled).toBe(true);
  expect(one.state.name).toBe('running');
});

it('resolves ended without an outcome when its work folder could not be created', async () => {
  const one = build();
  one.abandon();
  await one.ended;
  expect(one.finished).toBeUndefined();
});
