import { randomBytes } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HostEventSchema, HostFactSchema } from '@coold/proto';
import { type ChangeSignal, createChangeSignal } from '@coold/runtime';

/** An event about one thing of this host, without the cursor and time that the log adds. */
export type Fact = Omit<MessageInitShape<typeof HostFactSchema>, 'at' | '$typeName'> & { type: string };
export type HostEventInit = MessageInitShape<typeof HostEventSchema>;

/**
 * This host's latest events, and the current state of everything they are about. Memory is bounded: the oldest events
 * are dropped, and a reader that has not read them gets a gap with the current state.
 */
export interface EventLog {
  /**
   * Records the current state of a thing. This is an event when the state is new or differs.
   *
   * @param topic identifies the thing
   */
  know(topic: string, fact: Fact): void;
  /** Records that a thing is gone; `fact` is its last event. Does nothing when it was unknown. */
  forget(topic: string, fact: Fact): void;
  /** Records an event that leaves no state. */
  happened(fact: Fact): void;
  /**
   * Call when everything was inspected once: later changes are events, and what was known before is the initial state.
   */
  begin(): void;
  /** Whether `begin` was called. */
  hasBegun(): boolean;
  /** Signals each event, and the beginning. */
  changes: Pick<ChangeSignal, 'count' | 'later'>;
  /** Returns the state of a topic. */
  known(topic: string): Fact | undefined;
  topics(): Iterable<string>;
  /**
   * Returns a reader that starts after a cursor, or now without one. Requires that the log has begun.
   *
   * @throws CursorError for an invalid cursor
   */
  read(since: string | undefined): EventReader;
}

export interface EventReader {
  /**
   * Returns the next event, the same object for every reader, or a gap when events were dropped; undefined when there
   * is none.
   */
  next(): HostEventInit | undefined;
  /** Returns an event that says that nothing has happened. */
  alive(): HostEventInit;
}

/** A text that no log has returned as a cursor. */
export class CursorError extends Error {
  constructor() {
    super('expected a cursor of host.events');
    this.name = 'CursorError';
  }
}

export interface EventLogOptions {
  /** The number of events kept. */
  max?: number;
  /** The number of things whose state is kept. Further things have events, but a gap does not report them. */
  maxTopics?: number;
  /** Unix time in ms. */
  clock?: () => number;
  /** Identifies this run of coold. */
  epoch?: string;
}

const defaultMax = 4096;
const defaultMaxTopics = 20_000;
/** How long a reader's report of the whole state is reused for other readers while nothing happens, in ms. */
const toldMs = 1000;
const cursorPattern = /^([0-9a-f]{12})-(\d{1,15})$/;

export function createEventLog(options: EventLogOptions = {}): EventLog {
  const { max = defaultMax, maxTopics = defaultMaxTopics, clock = Date.now } = options;
  const { epoch = randomBytes(6).toString('hex') } = options;
  /** A ring buffer: event n is at n modulo its size. Numbers begin at 1. */
  const ring: HostEventInit[] = [];
  let last = 0;
  let begun = false;
  const known = new Map<string, { fact: Fact; at: number; text: string }>();
  const changes = createChangeSignal();
  /**
   * The last reports of the whole state, by reason. After a restart of coold all readers reconnect together, and the
   * report is made once.
   */
  const toldLast = new Map<string, { number: number; at: number; event: HostEventInit }>();

  const oldest = () => Math.max(1, last - max + 1);
  const cursorOf = (number: number) => `${epoch}-${number}`;

  function append(fact: Fact, at: number): void {
    if (!begun) return;
    last += 1;
    ring[last % max] = { ...fact, cursor: cursorOf(last), at: BigInt(at) };
    changes.announce();
  }

  function told(type: 'begin' | 'gap', reason: string): HostEventInit {
    const at = clock();
    const before = toldLast.get(reason);
    if (before !== undefined && before.number === last && Math.abs(at - before.at) < toldMs)
      return before.event;
    const event: HostEventInit = {
      cursor: cursorOf(last),
      at: BigInt(at),
      type,
      reason,
      known: [...known.values()].map(({ fact, at: since }) => ({ ...fact, at: BigInt(since) })),
    };
    toldLast.set(reason, { number: last, at, event });
    return event;
  }

  /** Returns the position of a cursor, or the reason for a gap after it. */
  function place(since: string): number | 'restarted' | 'too_old' | 'unknown' {
    const [, ofEpoch, digits] = cursorPattern.exec(since) ?? [];
    if (ofEpoch === undefined) throw new CursorError();
    const number = Number(digits);
    if (ofEpoch !== epoch) return 'restarted';
    if (number > last) return 'unknown';
    return number < oldest() - 1 ? 'too_old' : number;
  }

  return {
    know(topic, fact) {
      const text = JSON.stringify(fact);
      const before = known.get(topic);
      if (before?.text === text) return;
      const at = clock();
      if (before !== undefined || known.size < maxTopics) known.set(topic, { fact, at, text });
      append(fact, at);
    },
    forget(topic, fact) {
      if (known.delete(topic)) append(fact, clock());
    },
    happened: fact => append(fact, clock()),
    begin() {
      if (begun) return;
      begun = true;
      changes.announce();
    },
    hasBegun: () => begun,
    changes,
    known: topic => known.get(topic)?.fact,
    topics: () => known.keys(),
    read(since) {
      const from = since === undefined ? undefined : place(since);
      let first: 'begin' | 'restarted' | 'too_old' | 'unknown' | undefined =
        from === undefined ? 'begin' : typeof from === 'string' ? from : undefined;
      let position = typeof from === 'number' ? from : last;
      return {
        next() {
          const reason = first ?? (position < oldest() - 1 ? 'too_slow' : undefined);
          if (reason !== undefined) {
            first = undefined;
            position = last;
            return reason === 'begin' ? told('begin', '') : told('gap', reason);
          }
          if (position === last) return undefined;
          position += 1;
          return ring[position % max] ?? told('gap', 'too_slow');
        },
        alive: () => ({ cursor: cursorOf(position), at: BigInt(clock()), type: 'alive' }),
      };
    },
  };
}
