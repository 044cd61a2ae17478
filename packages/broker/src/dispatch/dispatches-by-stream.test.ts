import { expect, it } from 'vitest';
import { type Attached, type Carrier, DispatchesByStream } from './dispatches-by-stream.ts';

interface Named extends Attached {
  name: string;
}

const named = (name: string, stream: Carrier): Named => ({
  name,
  stream,
  earlier: undefined,
  later: undefined,
});

it('lists the dispatches of a stream in their order, without those that were detached', () => {
  const [one, other] = [{ hostId: 'h' }, { hostId: 'h' }];
  const dispatches = new DispatchesByStream<Named>();
  const [a, b, c, d] = [named('a', one), named('b', one), named('c', one), named('d', other)];
  for (const dispatch of [a, b, d, c]) dispatches.attach(dispatch);
  const names = () => dispatches.of(one).map(({ name }) => name);
  expect(names()).toEqual(['a', 'b', 'c']);

  dispatches.detach(b);
  expect(names()).toEqual(['a', 'c']);
  dispatches.detach(b);
  expect(names(), 'a second time changes nothing').toEqual(['a', 'c']);
  dispatches.detach(c);
  dispatches.attach(b);
  expect(names(), 'one that is attached again is the latest').toEqual(['a', 'b']);
  dispatches.detach(a);
  dispatches.detach(b);
  expect(names()).toEqual([]);
  expect(dispatches.of(other), 'another stream of the same host has its own').toEqual([d]);
});
