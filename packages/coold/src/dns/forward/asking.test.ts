// Time and upstream are scripted: what is asked for when, and what comes of it.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answerWith, askFor } from '../../../test/dns-questions.ts';
import { readQuery } from '../wire.ts';
import { readAddresses } from '../zone/lookup.ts';
import { createAnswerCache } from './answer-cache.ts';
import { createAsking } from './asking.ts';
import { createClientShare } from './client-share.ts';
import { createForwardingMemory, createSharedForwarding } from './shared-forwarding.ts';

/** For what only a name server of its own could do, all in one. */
function setUp() {
  const asked: { query: Buffer; transport: string; answer(message?: Buffer): void }[] = [];
  const forwarding = createSharedForwarding(createForwardingMemory(1));
  const upstreams = { areDead: false };
  const asking = createAsking({
    forwarder: {
      exchange: (query, transport, done) => void asked.push({ query, transport, answer: done }),
      areDead: () => upstreams.areDead,
    },
    forwarding,
    share: createClientShare(forwarding, 1, 10),
    cache: createAnswerCache(100_000),
  });
  const ask = (packet: Buffer, transport: 'udp' | 'tcp' = 'udp', client = 1) => {
    const received = readQuery(packet);
    if (received.kind !== 'query') throw new Error(received.kind);
    const replies: Buffer[] = [];
    asking.ask(received.query, transport, client, answer => void replies.push(Buffer.from(answer)));
    // What it was given is the caller's again.
    packet.fill(0xff);
    return replies;
  };
  return { asked, forwarding, upstreams, ask };
}

const seconds = (count: number) => vi.advanceTimersByTime(count * 1000);
const ttls = (reply: Buffer | undefined) => reply && readAddresses(reply).map(({ ttl }) => ttl);
const rcode = (reply: Buffer | undefined) => reply && reply.readUInt8(3) & 15;

describe('asking', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('answers from the cache with the asked id and spelling and a decreasing TTL, until it expires', () => {
    const { asked, ask, forwarding } = setUp();
    const first = askFor('example.com', 1);
    const [wanted] = [answerWith(first, 60)];
    const replies = ask(Buffer.from(first));
    asked[0]?.answer(wanted);
    expect(replies).toEqual([wanted]);
    seconds(25);
    const query = askFor('EXAMPLE.com', 1);
    const [reply] = ask(Buffer.from(query));
    expect(reply?.readUInt16BE(0)).toBe(query.readUInt16BE(0));
    expect(reply?.subarray(12, query.length)).toEqual(query.subarray(12));
    expect(ttls(reply)).toEqual([35]);
    seconds(34);
    expect(ttls(ask(askFor('example.com', 1))[0])).toEqual([1]);
    seconds(1);
    expect(ask(askFor('example.com', 1))).toEqual([]);
    expect(asked.length).toBe(2);
    expect(forwarding.stats()).toEqual({ forwarded: 2, errors: 0, waiting: 1 });
    expect(forwarding.cacheStats()).toEqual({ cached: 2, stale: 0 });
  });

  it('asks once for many who ask the same, and for each what is another question', () => {
    const { asked, ask, forwarding } = setUp();
    const packets = Array.from({ length: 4 }, () => askFor('example.com', 1));
    const replies = packets.map(packet => ask(Buffer.from(packet)));
    expect([asked.length, forwarding.stats().waiting]).toEqual([1, 4]);
    asked[0]?.answer(answerWith(packets[0] ?? Buffer.alloc(0), 0));
    expect(replies.map(each => each.map(reply => reply.readUInt16BE(0)))).toEqual(
      packets.map(packet => [packet.readUInt16BE(0)]),
    );
    expect(forwarding.stats().waiting).toBe(0);
    for (const packet of [askFor('example.com', 28), askFor('example.com', 1, 1232)]) ask(packet);
    ask(askFor('example.com', 1), 'tcp');
    expect(asked.length).toBe(4);
  });

  it('keeps no failure', () => {
    const { asked, ask } = setUp();
    for (let count = 0; count < 3; count += 1) {
      const replies = ask(askFor('example.com', 1));
      const query = asked[count]?.query ?? Buffer.alloc(0);
      const failure = Buffer.from(query);
      failure.writeUInt16BE(0x8182, 2);
      asked[count]?.answer(failure);
      expect(replies.map(rcode)).toEqual([2]);
    }
    expect(asked.length).toBe(3);
  });

  it('never sends more than a client accepts: the client is asked to use TCP', () => {
    const { asked, ask } = setUp();
    ask(askFor('example.com', 1, 4096));
    const query = asked[0]?.query ?? Buffer.alloc(0);
    const answer = answerWith(query, 60);
    // A second record, as large as it would be with many addresses.
    const text = Buffer.alloc(12 + 900);
    text.set([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
    text.writeUInt16BE(900, 10);
    const large = Buffer.concat([answer.subarray(0, -11), text, answer.subarray(-11)]);
    large.writeUInt16BE(2, 6);
    asked[0]?.answer(large);
    const [cut] = ask(askFor('example.com', 1, 512));
    expect(cut?.readUInt8(2)).toBe(0x83);
    expect(cut?.length).toBeLessThanOrEqual(512);
    expect(ask(askFor('example.com', 1, 1232))[0]?.length).toBe(large.length);
    expect(ask(askFor('example.com', 1, 512), 'tcp')[0]?.length).toBe(large.length);
    expect(asked.length).toBe(1);
  });

  it('gives an expired answer while no upstream answers, for 30 s each, and for a day in all', () => {
    const { asked, ask, upstreams, forwarding } = setUp();
    ask(askFor('example.com', 1));
    asked[0]?.answer(answerWith(asked[0].query, 60));
    seconds(61);
    const replies = ask(askFor('example.com', 1));
    asked[1]?.answer();
    expect(ttls(replies[0])).toEqual([30]);
    // Once it is known that all are dead, at once.
    upstreams.areDead = true;
    expect(ttls(ask(askFor('example.com', 1))[0])).toEqual([30]);
    expect(asked.length).toBe(2);
    expect(forwarding.cacheStats()).toEqual({ cached: 0, stale: 2 });
    seconds(86_400);
    const last = ask(askFor('example.com', 1));
    asked[2]?.answer();
    expect(last.map(rcode)).toEqual([2]);
  });

  it('gives it when the answer is late, and keeps that all the same', () => {
    const { asked, ask, forwarding } = setUp();
    ask(askFor('example.com', 1));
    asked[0]?.answer(answerWith(asked[0].query, 60));
    seconds(61);
    const replies = ask(askFor('example.com', 1));
    vi.advanceTimersByTime(1799);
    expect(replies).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(replies.map(ttls)).toEqual([[30]]);
    expect(ttls(ask(askFor('example.com', 1))[0])).toEqual([30]);
    expect(forwarding.stats().waiting).toBe(0);
    asked[1]?.answer(answerWith(asked[1].query, 120));
    expect(replies.length).toBe(1);
    expect(ttls(ask(askFor('example.com', 1))[0])).toEqual([120]);
    expect(asked.length).toBe(2);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1);
  });

  it('gives a client that asks endlessly half of the places, and refuses the rest', () => {
    const { asked, ask, forwarding } = setUp();
    const replies = Array.from({ length: 20 }, (_, index) => ask(askFor(`n${index}.example.com`, 1)));
    expect(asked.length).toBe(5);
    expect(replies.flat().map(rcode)).toEqual(Array(15).fill(2));
    expect(ask(askFor('neighbour.example.com', 1), 'udp', 2)).toEqual([]);
    expect(forwarding.stats()).toEqual({ forwarded: 6, errors: 15, waiting: 6 });
  });
});
