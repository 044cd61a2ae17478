import { expect, it } from 'vitest';
import { isStreamName, requestIdOf, streamName } from './stream-name.ts';

it('the name of a stream has its request id in it, and is none itself', () => {
  expect(requestIdOf(streamName('a-1', 7))).toBe('a-1');
  expect(isStreamName(streamName('a-1', 7))).toBe(true);
  expect(streamName('a-1', 7)).not.toMatch(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/);
  expect(streamName('a-1', 7)).not.toBe(streamName('a-1', 8));
});

it('a request id is its own, and the name of no stream', () => {
  expect(requestIdOf('a-1')).toBe('a-1');
  expect(isStreamName('a-1')).toBe(false);
});
