import { expect, test, vi } from 'vitest';
import type { Announcements } from '../netlink/announcements.ts';
import {
  attribute,
  handleAttribute,
  headOf,
  type NetlinkMessage,
  nestedAttribute,
  numberAttribute,
  textAttribute,
} from '../netlink/netlink.ts';
import type { NetlinkSocket } from '../netlink/netlink-socket.ts';
import { addressBytes } from '../rule/cidr.ts';
import type { Place } from './kernel/rules.ts';
import { ChainIndex, WatchedIndex } from './rule-index.ts';

// What the real kernel does is in rule-index.long.test.ts; here is what it seldom does.

const allowChain: Place = { family: 'ip', table: 'filter', chain: 'COOLIFY-ALLOW' };
const [source, destination] = [addressBytes('10.210.0.2'), addressBytes('10.210.1.2')];

const message = (type: number, ...body: readonly Buffer[]): NetlinkMessage => ({
  type,
  flags: 0,
  sequence: 0,
  body: Buffer.concat(body),
});
const generationBody = (number: number) => [headOf(0), numberAttribute(1, number)] as const;
const announced = (number: number) => message(0xa0f, ...generationBody(number));

function expression(name: string, ...data: readonly Buffer[]): Buffer {
  return nestedAttribute(1, textAttribute(1, name), nestedAttribute(2, ...data));
}

/** A rule of the allow chain between the two addresses. */
function rule(type: 'new' | 'gone', handle: number, { chain } = allowChain): NetlinkMessage {
  const asks = (offset: number, value: Buffer) => [
    expression('payload', ...[1, 1, offset, 4].map((number, at) => numberAttribute(at + 1, number))),
    expression('cmp', numberAttribute(1, 1), numberAttribute(2, 0), nestedAttribute(3, attribute(1, value))),
  ];
  return message(
    type === 'new' ? 0xa06 : 0xa08,
    headOf(2),
    ...[textAttribute(1, 'filter'), textAttribute(2, chain), handleAttribute(3, handle)],
    nestedAttribute(4, ...asks(12, source), ...asks(16, destination)),
  );
}

/** A kernel at generation 5 that has rule 7, and announces what it is given. */
function kernel(change: { interrupted?: boolean } = {}) {
  const state = { generation: 5, isWhole: true, listed: 0 };
  const queue: NetlinkMessage[] = [];
  const failures: unknown[] = [];
  const announcements: Announcements = {
    async take(each) {
      for (const one of queue.splice(0)) each(one);
      return state.isWhole;
    },
    [Symbol.dispose]: vi.fn(),
  };
  const socket: NetlinkSocket = {
    async dump(_type, [head], take) {
      state.listed += 1;
      if (head?.[0] === 2) take(rule('new', 7));
      return { interrupted: change.interrupted ?? false };
    },
    get: () => message(0xa0f, ...generationBody(state.generation)),
    [Symbol.dispose]: vi.fn(),
  };
  const index = new WatchedIndex(
    () => socket,
    () => announcements,
    'COOLIFY-ALLOW',
    error => failures.push(error),
  );
  return {
    state,
    queue,
    failures,
    announcements,
    index,
    ask: (generation: number, place = allowChain) => index.handles(place, source, destination, generation),
  };
}

test('the handles of rules between two addresses are known, and those that name no two', () => {
  const chain = new ChainIndex();
  chain.put(7, { source: source.readUInt32LE(0), destination: destination.readUInt32LE(0) });
  chain.put(8, { source: source.readUInt32LE(0), destination: 1 });
  chain.put(9, { source: source.readUInt32LE(0), destination: undefined });
  expect(chain.handles(source, destination)).toEqual([9, 7]);
  chain.drop(7);
  expect(chain.handles(source, destination)).toEqual([9]);
});

test('so many that each would be asked for in vain are listed', () => {
  const chain = new ChainIndex();
  const ends = { source: source.readUInt32LE(0), destination: destination.readUInt32LE(0) };
  for (let handle = 1; handle <= 101; handle += 1) chain.put(handle, ends);
  expect(chain.handles(source, destination)).toBeUndefined();
});

test('what is announced counts once the transaction is announced to its end', async () => {
  const { state, queue, ask } = kernel();
  expect(await ask(5)).toEqual([7]);
  state.generation = 6;
  queue.push(rule('new', 8), rule('gone', 7), rule('new', 9, { ...allowChain, chain: 'FORWARD' }));
  setTimeout(() => queue.push(announced(6)), 20);
  expect(await ask(6)).toEqual([8]);
  expect(state.listed).toBe(2); // each chain once
});

test('what is in the listing already is not taken twice', async () => {
  const { queue, ask } = kernel();
  queue.push(announced(4), rule('gone', 7));
  expect(await ask(5)).toEqual([7]);
  queue.push(announced(5));
  expect(await ask(5)).toEqual([7]);
});

test.each<[string, (parts: ReturnType<typeof kernel>) => void]>([
  ['the kernel had to leave some out', ({ state }) => Object.assign(state, { isWhole: false })],
  ['a generation is missing', ({ queue }) => queue.push(announced(7))],
])('the chains are listed anew when %s', async (_, lose) => {
  const parts = kernel();
  await parts.ask(5);
  lose(parts);
  parts.state.generation = 7;
  // What was lost counts for the question that finds it out, too.
  const asked = parts.ask(7);
  await asked;
  parts.state.isWhole = true;
  expect(await parts.ask(7)).toEqual([7]);
  expect(parts.state.listed).toBeGreaterThanOrEqual(4);
});

test.each([
  ['another chain', kernel().ask(5, { ...allowChain, chain: 'FORWARD' })],
  ['a generation that is not announced in time', kernel().ask(6)],
  ['rules that change during each listing', kernel({ interrupted: true }).ask(5)],
])('with %s the chain has to be listed by who asks', async (_, asked) => {
  expect(await asked).toBeUndefined();
});

test('a transaction with an unreadable part is never taken for a whole one', async () => {
  const { state, queue, announcements, failures, ask } = kernel();
  expect(await ask(5)).toEqual([7]);
  const take = announcements.take;
  announcements.take = async each => {
    each(rule('new', 8));
    throw new Error('a message of netlink is cut off');
  };
  state.generation = 6;
  expect(await ask(6)).toBeUndefined();
  expect(failures).toHaveLength(1);
  announcements.take = take;
  queue.push(announced(6));
  expect(await ask(6)).toEqual([7]);
});

test('the socket is not closed while a question takes from it', async () => {
  const { announcements, index, ask } = kernel();
  const stop = new AbortController();
  const kept = index.keep(stop.signal);
  await vi.waitFor(async () => expect(await ask(5)).toEqual([7]));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  announcements.take = () => promise;
  const asked = ask(5);
  stop.abort();
  await new Promise(done => setImmediate(done));
  expect(announcements[Symbol.dispose]).not.toHaveBeenCalled();
  resolve(true);
  await Promise.all([kept, asked]);
  expect(announcements[Symbol.dispose]).toHaveBeenCalledOnce();
});

test('lost announcements are logged, and the chain is listed', async () => {
  const parts = kernel();
  parts.announcements.take = () => Promise.reject(new Error('not permitted'));
  expect(await parts.ask(5)).toBeUndefined();
  expect(parts.failures).toHaveLength(1);
});
