import { create } from '@bufbuild/protobuf';
import { ResponseSchema } from '@coold/proto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HostStream } from '../hosts/hosts.ts';
import { createPending, type Outcome, type PendingOptions, type Ticket } from './pending.ts';

const options: PendingOptions = {
  max: 3,
  timeoutMs: 10_000,
  landedTtlMs: 30_000,
  overdueTtlMs: 300_000,
  landedMaxBytes: 1000,
};

const stream = (hostId = 'h') => ({ hostId }) as HostStream;
const subject = (requestId: string, hostId = 'h', verb = 'list_containers') => ({ requestId, hostId, verb });
const response = (requestId: string) =>
  create(ResponseSchema, { requestId, body: { case: 'listContainers', value: { containers: [] } } });

function setUp(overrides: Partial<PendingOptions> = {}) {
  const pending = createPending({ ...options, ...overrides });
  const host = stream();
  const claim = (id: string, on = host): Ticket => {
    const claimed = pending.claim(subject(id, on.hostId), on);
    if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
    return claimed.ticket;
  };
  return { pending, host, claim };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a dispatch', () => {
  it('ends with its answer, and its id is free once the reply was written', async () => {
    const { pending, host, claim } = setUp();
    const ticket = claim('r');
    expect(pending.answer(host, response('r'), 10)).toBe('delivered');
    expect(await ticket.outcome).toMatchObject({ kind: 'answered', response: { requestId: 'r' } });
    expect(pending.claim(subject('r'), host).kind).toBe('in flight');
    ticket.delivered();
    expect(pending.claim(subject('r'), host).kind).toBe('claimed');
  });

  it('ends with timeout after its time, not before', async () => {
    const { claim } = setUp();
    const seen: Outcome[] = [];
    void claim('r').outcome.then(outcome => seen.push(outcome));
    await vi.advanceTimersByTimeAsync(9_999);
    expect(seen).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen).toEqual([{ kind: 'timeout' }]);
  });

  it('ends the moment its stream is gone, and only with that stream', async () => {
    const { pending, host, claim } = setUp();
    const other = stream('other');
    const [mine, theirs] = [claim('r1'), claim('r2', other)];
    pending.disconnected(host);
    expect(await mine.outcome).toEqual({ kind: 'disconnected' });
    expect(pending.answer(host, response('r1'), 1)).toBe('unknown');
    pending.answer(other, response('r2'), 1);
    expect((await theirs.outcome).kind).toBe('answered');
  });

  it('of an id that is under way is refused, whichever host it is for', () => {
    const { pending, claim } = setUp();
    claim('r');
    expect(pending.claim(subject('r', 'other'), stream('other')).kind).toBe('in flight');
  });

  it.each(['delivered', 'undelivered', 'withdraw'] as const)(
    'that has ended is not changed by %s',
    async told => {
      const { pending, host, claim } = setUp();
      const ticket = claim('r');
      pending.disconnected(host);
      const successor = claim('r');
      ticket[told]();
      expect(pending.counts()).toEqual({ waiting: 1, landed: 0, overdue: 0 });
      await vi.advanceTimersByTimeAsync(9_000);
      expect(pending.answer(host, response('r'), 1)).toBe('delivered');
      expect((await successor.outcome).kind).toBe('answered');
    },
  );

  it('that was not sent after all leaves its id free', () => {
    const { pending, host, claim } = setUp();
    claim('r').withdraw();
    expect(pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
    expect(pending.claim(subject('r'), host).kind).toBe('claimed');
  });
});

describe('an answer', () => {
  it('is taken once; a second is a duplicate, or unknown once the reply is out', () => {
    const { pending, host, claim } = setUp();
    const ticket = claim('r');
    pending.answer(host, response('r'), 1);
    expect(pending.answer(host, response('r'), 1)).toBe('duplicate');
    ticket.delivered();
    expect(pending.answer(host, response('r'), 1)).toBe('unknown');
  });

  it('for another host’s request is refused and that request still waits', async () => {
    const { pending, host, claim } = setUp();
    const ticket = claim('r');
    expect(pending.answer(stream('other'), response('r'), 1)).toBe('of another host');
    pending.answer(host, response('r'), 1);
    expect((await ticket.outcome).kind).toBe('answered');
  });

  it('that comes after the timeout lands, and a repeated dispatch reads it once', async () => {
    const { pending, host, claim } = setUp();
    claim('r');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(pending.answer(host, response('r'), 1)).toBe('landed');
    expect(pending.takeLanded(subject('r', 'other'))).toBeUndefined();
    expect(pending.takeLanded(subject('r', 'h', 'other_verb'))).toBeUndefined();
    const again = pending.takeLanded(subject('r'));
    expect(await again?.outcome).toMatchObject({ kind: 'answered' });
    again?.delivered();
    expect(pending.takeLanded(subject('r'))).toBeUndefined();
    expect(pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
  });

  it('lands when its caller hung up, before it came or while the reply was written', async () => {
    const { pending, host, claim } = setUp();
    claim('before').undelivered();
    expect(pending.answer(host, response('before'), 1)).toBe('landed');
    const during = claim('during');
    pending.answer(host, response('during'), 1);
    during.undelivered();
    expect(pending.takeLanded(subject('before'))).toBeDefined();
    const taken = pending.takeLanded(subject('during'));
    taken?.undelivered();
    expect(pending.takeLanded(subject('during')), 'a lost reply lands again').toBeDefined();
  });

  it('that landed is gone after its time', async () => {
    const { pending, host, claim } = setUp();
    claim('r').undelivered();
    pending.answer(host, response('r'), 1);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(pending.takeLanded(subject('r'))).toBeUndefined();
    expect(pending.counts().landed).toBe(0);
  });

  it('that landed survives its stream', () => {
    const { pending, host, claim } = setUp();
    claim('r').undelivered();
    pending.answer(host, response('r'), 1);
    pending.disconnected(host);
    expect(pending.takeLanded(subject('r'))).toBeDefined();
  });
});

describe('bounds', () => {
  it('the cap counts what waits and what landed', async () => {
    const { pending, host, claim } = setUp();
    claim('landed').undelivered();
    pending.answer(host, response('landed'), 1);
    claim('a');
    claim('b');
    expect(pending.claim(subject('c'), host).kind).toBe('full');
    pending.disconnected(host);
    expect(pending.claim(subject('c'), host).kind).toBe('claimed');
  });

  it('a host that never answers cannot use the cap up for others', async () => {
    const { pending, host, claim } = setUp();
    for (let round = 0; round < 5; round += 1) {
      for (const id of ['a', 'b', 'c']) claim(`${id}${round}`);
      await vi.advanceTimersByTimeAsync(10_000);
    }
    expect(pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 3 });
    expect(pending.answer(host, response('a0'), 1), 'the oldest were forgotten').toBe('unknown');
    expect(pending.answer(host, response('c4'), 1)).toBe('landed');
    await vi.advanceTimersByTimeAsync(300_000);
    expect(pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
  });

  it('landed answers are bounded in bytes; the oldest go first', () => {
    const { pending, host, claim } = setUp();
    for (const id of ['a', 'b', 'c']) {
      claim(id).undelivered();
      pending.answer(host, response(id), 400);
    }
    expect(pending.takeLanded(subject('a'))).toBeUndefined();
    expect(pending.takeLanded(subject('b'))).toBeDefined();
    expect(pending.takeLanded(subject('c'))).toBeDefined();
  });
});

describe('an id that a stream holds', () => {
  it('is taken, whatever it was, and counts against the cap until it is released', () => {
    const { pending, host, claim } = setUp();
    claim('waiting');
    expect(pending.hold('waiting').kind).toBe('in flight');
    claim('landed').undelivered();
    pending.answer(host, response('landed'), 1);
    const hold = pending.hold('landed');
    expect(pending.takeLanded(subject('landed')), 'its answer is forgotten').toBeUndefined();
    expect(pending.hold('landed').kind).toBe('in flight');
    expect(pending.claim(subject('landed'), host).kind).toBe('in flight');
    expect(pending.hold('third').kind).toBe('held');
    expect(pending.hold('fourth').kind).toBe('full');
    expect(pending.claim(subject('fourth'), host).kind).toBe('full');
    if (hold.kind !== 'held') expect.fail(hold.kind);
    hold.release();
    expect(pending.hold('landed').kind).toBe('held');
    hold.release();
    expect(pending.hold('landed').kind, 'released once').toBe('in flight');
  });

  it('is not waited for when the broker stops, and further claims are refused', async () => {
    const { pending } = setUp();
    pending.hold('r');
    await pending.drain(3000);
    expect(pending.hold('s').kind).toBe('stopping');
  });
});

it.each(['delivered', 'undelivered'] as const)(
  'a caller that was told timeout and is %s only later changes nothing for who reads the late answer',
  async told => {
    const { pending, host, claim } = setUp();
    const late = claim('r');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(pending.answer(host, response('r'), 10)).toBe('landed');
    const reader = pending.takeLanded(subject('r'));
    late[told]();
    expect(pending.counts()).toEqual({ waiting: 1, landed: 0, overdue: 0 });
    reader?.undelivered();
    expect(pending.counts()).toEqual({ waiting: 0, landed: 1, overdue: 0 });
  },
);

describe('draining', () => {
  it('refuses new claims, lets what waits be answered, and ends when nothing waits', async () => {
    const { pending, host, claim } = setUp();
    const ticket = claim('r');
    let drained = false;
    const done = pending.drain(3000).then(() => {
      drained = true;
    });
    expect(pending.claim(subject('new'), host).kind).toBe('stopping');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(drained).toBe(false);
    pending.answer(host, response('r'), 1);
    expect((await ticket.outcome).kind).toBe('answered');
    await done;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fails what was not answered in its grace', async () => {
    const { pending, claim } = setUp();
    const ticket = claim('r');
    const done = pending.drain(3000);
    await vi.advanceTimersByTimeAsync(3000);
    expect(await ticket.outcome).toEqual({ kind: 'stopping' });
    await done;
  });

  it('of nothing is immediate', async () => {
    await setUp().pending.drain(3000);
  });
});

it('whatever happens in whatever order, every caller gets exactly one outcome and nothing is left behind', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('claim' as const), id: fc.nat(5), host: fc.nat(2) }),
    fc.record({ do: fc.constant('answer' as const), id: fc.nat(5), host: fc.nat(2) }),
    fc.record({ do: fc.constant('disconnect' as const), host: fc.nat(2) }),
    fc.record({
      do: fc.constantFrom('delivered' as const, 'undelivered' as const, 'withdraw' as const),
      nth: fc.nat(20),
    }),
    fc.record({ do: fc.constant('land' as const), id: fc.nat(5), host: fc.nat(2) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 5000, 10_000, 30_000, 300_000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const pending = createPending(options);
      const hosts = [stream('h0'), stream('h1'), stream('h2')] as const;
      const host = (n: number) => hosts[n as 0 | 1 | 2];
      const tickets: { ticket: Ticket; outcomes: Outcome[]; gone: boolean }[] = [];
      const keep = (ticket: Ticket) => {
        const kept = { ticket, outcomes: [] as Outcome[], gone: false };
        void ticket.outcome.then(outcome => kept.outcomes.push(outcome));
        tickets.push(kept);
      };
      for (const s of steps) {
        switch (s.do) {
          case 'claim': {
            const claimed = pending.claim(subject(`r${s.id}`, `h${s.host}`), host(s.host));
            if (claimed.kind === 'claimed') keep(claimed.ticket);
            break;
          }
          case 'land': {
            const ticket = pending.takeLanded(subject(`r${s.id}`, `h${s.host}`));
            if (ticket !== undefined) keep(ticket);
            break;
          }
          case 'answer':
            pending.answer(host(s.host), response(`r${s.id}`), 300);
            break;
          case 'disconnect':
            pending.disconnected(host(s.host));
            break;
          case 'wait':
            await vi.advanceTimersByTimeAsync(s.ms);
            break;
          default: {
            const kept = tickets[s.nth];
            if (kept === undefined) break;
            if (s.do !== 'delivered' && kept.outcomes.length === 0) kept.gone = true;
            kept.ticket[s.do]();
          }
        }
        const { waiting, landed, overdue } = pending.counts();
        expect(waiting + landed).toBeLessThanOrEqual(options.max);
        expect(overdue).toBeLessThanOrEqual(options.max);
        expect(Math.min(waiting, landed, overdue)).toBeGreaterThanOrEqual(0);
      }
      for (const { ticket } of tickets) ticket.delivered();
      await vi.advanceTimersByTimeAsync(20_000);
      for (const { ticket } of tickets) ticket.delivered();
      await vi.advanceTimersByTimeAsync(600_000);
      for (const { outcomes, gone } of tickets) if (!gone) expect(outcomes).toHaveLength(1);
      expect(pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 300 },
  );
});
