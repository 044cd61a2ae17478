import type { Response } from '@coold/proto';
import type { HostStream } from './hosts.ts';

/** What became of a dispatch. */
export type Outcome =
  | { kind: 'answered'; response: Response }
  | { kind: 'timeout' | 'disconnected' | 'stopping' };

/** A claimed request id. The lane says afterwards whether its caller got the reply. */
export interface Ticket {
  outcome: Promise<Outcome>;
  /** The reply was written whole: the id is free again. */
  delivered(): void;
  /** The caller is gone: an answer that is there, or comes later, waits for a repeated dispatch. */
  undelivered(): void;
  /** Nothing was sent to the host after all: the id is free again. */
  withdraw(): void;
}

export type Claim = { kind: 'claimed'; ticket: Ticket } | { kind: 'in flight' | 'full' | 'stopping' };

/** A request id that a stream uses; it counts against the cap until it is released. */
export type Hold = { kind: 'held'; release(): void } | { kind: 'in flight' | 'full' | 'stopping' };

/** What a request id stands for; a landed answer is only for the same question. */
export interface Subject {
  requestId: string;
  hostId: string;
  verb: string;
}

/** What answers come on: a host's stream, or what stands for it where another broker has it. */
export type Carrier = Pick<HostStream, 'hostId'>;

/** How an answer was taken; all but the first two were ignored, which is worth a log line. */
export type Receipt = 'delivered' | 'landed' | 'duplicate' | 'unknown' | 'of another host';

export interface PendingOptions {
  /** Cap on waiting and landed dispatches and live streams together (docs/contract.md §2). */
  max: number;
  /** After this many ms without an answer the caller is told `timeout`. */
  timeoutMs: number;
  /** How many ms a landed answer waits for a repeated dispatch. */
  landedTtlMs: number;
  /** How many ms after a timeout an answer is still expected. */
  overdueTtlMs: number;
  /** Bytes of landed answers kept; beyond them the oldest go first, whatever their age. */
  landedMaxBytes: number;
}

/**
 * The dispatches under way, by request id (docs/contract.md §2). An entry is *waiting* for its host, then *replying* to
 * its caller. One whose caller was told `timeout`, or hung up, is *overdue*: its id is free, and an answer that still
 * comes is *landed* until a repeated dispatch reads it. In the end it is *gone*, and nothing that is done to it counts.
 */
export interface Pending {
  /** What an earlier dispatch of the same question left behind, if anything. */
  takeLanded(subject: Subject): Ticket | undefined;
  /** @param timeoutMs of a caller who does not wait as long as others */
  claim(subject: Subject, stream: Carrier, timeoutMs?: number): Claim;
  /** Takes an id for a stream, which has states of its own: ids are one space, whatever they stand for. */
  hold(requestId: string): Hold;
  answer(stream: Carrier, response: Response, bytes: number): Receipt;
  /** The stream is gone: its waiting dispatches end now, its overdue ones are forgotten. */
  disconnected(stream: Carrier): void;
  /** Takes no more claims, gives what waits `graceMs` to be answered, then ends it. Resolves when nothing waits. */
  drain(graceMs: number): Promise<void>;
  counts(): { waiting: number; landed: number; overdue: number };
  /** Answers, and ids that were waited for, that went before their time to make room; since the start. */
  evictions(): { landed: number; overdue: number };
}

/** What rides on a stream is a list through the entries themselves: with a set of its own each would cost twice as much. */
interface Entry extends Subject {
  earlier: Entry | undefined;
  later: Entry | undefined;
  state: 'waiting' | 'replying' | 'overdue' | 'landed' | 'gone';
  stream: Carrier;
  settle: (outcome: Outcome) => void;
  answer: { response: Response; bytes: number } | undefined;
  timer: NodeJS.Timeout | undefined;
}

const ignore = () => {};

export function createPending(options: PendingOptions): Pending {
  const entries = new Map<string, Entry>();
  // A stream and the ids that ride on it live together, so that a lost stream fails them at once; the latest of them.
  const byStream = new Map<Carrier, Entry>();
  const landed = new Set<Entry>(); // oldest first, as sets iterate
  const overdue = new Set<Entry>();
  const held = new Set<string>();
  const idle = Promise.withResolvers<void>();
  let waiting = 0;
  let landedBytes = 0;
  let draining = false;

  const evicted = { landed: 0, overdue: 0 };
  const active = () => entries.size - landed.size - overdue.size;

  function enter(entry: Entry, state: Entry['state'], ms: number | undefined, onTimer: () => void): void {
    clearTimeout(entry.timer);
    if (landed.delete(entry)) landedBytes -= entry.answer?.bytes ?? 0;
    overdue.delete(entry);
    if (entry.state === 'waiting') waiting -= 1;
    if (state === 'waiting') waiting += 1;
    entry.state = state;
    entry.timer = ms === undefined ? undefined : setTimeout(onTimer, ms);
  }

  function ride(entry: Entry): void {
    const earlier = byStream.get(entry.stream);
    byStream.set(entry.stream, entry);
    entry.earlier = earlier;
    if (earlier !== undefined) earlier.later = entry;
  }

  function alight(entry: Entry): void {
    const { earlier, later, stream } = entry;
    if (earlier !== undefined) earlier.later = later;
    if (later !== undefined) later.earlier = earlier;
    else if (byStream.get(stream) === entry) {
      if (earlier === undefined) byStream.delete(stream);
      else byStream.set(stream, earlier);
    }
    entry.earlier = undefined;
    entry.later = undefined;
  }

  function riding(stream: Carrier): Entry[] {
    const found: Entry[] = [];
    for (let entry = byStream.get(stream); entry !== undefined; entry = entry.earlier) found.push(entry);
    return found.reverse();
  }

  function announceIdle(): void {
    if (draining && waiting === 0) idle.resolve();
  }

  function forget(entry: Entry): void {
    enter(entry, 'gone', undefined, ignore);
    alight(entry);
    entries.delete(entry.requestId);
    // A map that has outgrown its table leaves the old one as garbage, and V8's young collections take what such a table
    // held for alive once it is old, with all that hangs on it: 3 KB of each dispatch became old so, and 0.3 since what is
    // over holds nothing.
    entry.settle = ignore;
    entry.answer = undefined;
    announceIdle();
  }

  function becomeOverdue(entry: Entry): void {
    enter(entry, 'overdue', options.overdueTtlMs, () => forget(entry));
    overdue.add(entry);
    // Outside the cap, or a host that never answers would use it up for all; so they have a bound of their own.
    const [oldest] = overdue;
    if (overdue.size > options.max && oldest !== undefined) {
      evicted.overdue += 1;
      forget(oldest);
    }
    announceIdle();
  }

  function becomeLanded(entry: Entry): void {
    enter(entry, 'landed', options.landedTtlMs, () => forget(entry));
    landed.add(entry);
    landedBytes += entry.answer?.bytes ?? 0;
    for (const oldest of landed) {
      if (landedBytes <= options.landedMaxBytes) break;
      evicted.landed += 1;
      forget(oldest);
    }
    announceIdle();
  }

  function end(entry: Entry, outcome: Outcome): void {
    const { settle } = entry;
    forget(entry);
    settle(outcome);
  }

  function ticketOf(entry: Entry): Ticket {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    entry.settle = resolve;
    // A caller that was told `timeout` may leave when another already reads the answer that came late.
    const isCurrent = () => entry.settle === resolve;
    return {
      outcome: promise,
      delivered() {
        if (isCurrent() && entry.state === 'replying') forget(entry);
      },
      undelivered() {
        if (!isCurrent()) return;
        if (entry.state === 'waiting') becomeOverdue(entry);
        else if (entry.state === 'replying') becomeLanded(entry);
      },
      withdraw() {
        if (entry.state === 'waiting') forget(entry);
      },
    };
  }

  /** Why an id cannot be had; undefined: it can, and nothing has it any more. */
  function obstacle(requestId: string): 'in flight' | 'full' | 'stopping' | undefined {
    if (draining) return 'stopping';
    const former = entries.get(requestId);
    if (former?.state === 'waiting' || former?.state === 'replying' || held.has(requestId))
      return 'in flight';
    if (former !== undefined) forget(former);
    return active() + landed.size + held.size >= options.max ? 'full' : undefined;
  }

  return {
    takeLanded({ requestId, hostId, verb }) {
      const entry = entries.get(requestId);
      if (entry?.state !== 'landed' || entry.answer === undefined) return undefined;
      if (entry.hostId !== hostId || entry.verb !== verb) return undefined;
      const ticket = ticketOf(entry);
      enter(entry, 'replying', undefined, ignore);
      entry.settle({ kind: 'answered', response: entry.answer.response });
      return ticket;
    },

    claim(subject, stream, timeoutMs = options.timeoutMs) {
      const kind = obstacle(subject.requestId);
      if (kind !== undefined) return { kind };
      const entry: Entry = {
        ...subject,
        earlier: undefined,
        later: undefined,
        state: 'gone',
        stream,
        settle: ignore,
        answer: undefined,
        timer: undefined,
      };
      const ticket = ticketOf(entry);
      entries.set(entry.requestId, entry);
      ride(entry);
      enter(entry, 'waiting', Math.min(timeoutMs, options.timeoutMs), () => {
        const { settle } = entry;
        becomeOverdue(entry);
        settle({ kind: 'timeout' });
      });
      return { kind: 'claimed', ticket };
    },

    hold(requestId) {
      const kind = obstacle(requestId);
      if (kind !== undefined) return { kind };
      held.add(requestId);
      let released = false;
      return {
        kind: 'held',
        release() {
          if (!released) held.delete(requestId);
          released = true;
        },
      };
    },

    answer(stream, response, bytes) {
      const entry = entries.get(response.requestId);
      if (entry === undefined) return 'unknown';
      if (entry.stream !== stream) return 'of another host';
      if (entry.answer !== undefined) return 'duplicate';
      entry.answer = { response, bytes };
      alight(entry);
      if (entry.state === 'overdue') {
        becomeLanded(entry);
        return 'landed';
      }
      enter(entry, 'replying', undefined, ignore);
      announceIdle();
      entry.settle({ kind: 'answered', response });
      return 'delivered';
    },

    disconnected(stream) {
      for (const entry of riding(stream)) {
        if (entry.state === 'waiting') end(entry, { kind: 'disconnected' });
        else forget(entry);
      }
    },

    async drain(graceMs) {
      draining = true;
      announceIdle();
      const timer = setTimeout(() => {
        for (const entry of [...entries.values()])
          if (entry.state === 'waiting') end(entry, { kind: 'stopping' });
      }, graceMs);
      await idle.promise;
      clearTimeout(timer);
    },

    counts: () => ({ waiting: active(), landed: landed.size, overdue: overdue.size }),
    evictions: () => ({ ...evicted }),
  };
}
