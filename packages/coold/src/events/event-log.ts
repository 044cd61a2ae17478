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
/** How long a report of the whole state is reused for other readers while nothing happens, in ms. */
const snapshotMs = 1000;
const cursorPattern = /^([0-9a-f]{12})-(\d{1,15})$/;

export function createEventLog(options: EventLogOptions = {}): EventLog {
  return new RingLog(options);
}

/** Why a reader gets the whole state: it begins, or events are missing after its cursor. */
type SnapshotReason = 'begin' | 'restarted' | 'too_old' | 'unknown' | 'too_slow';

/** Where a reader is. */
type Position =
  /** It gets the whole state next. */
  | { state: 'snapshot'; reason: SnapshotReason }
  /** It has read the events up to this number. */
  | { state: 'following'; read: number };

class RingLog implements EventLog {
  readonly changes = createChangeSignal();
  readonly #max: number;
  readonly #maxTopics: number;
  readonly #clock: () => number;
  readonly #epoch: string;
  /** A ring buffer: event n is at n modulo its size. Numbers begin at 1. */
  readonly #ring: HostEventInit[] = [];
  /** The number of the last event. */
  #last = 0;
  #begun = false;
  readonly #known = new Map<string, { fact: Fact; at: number; text: string }>();
  /** The last reports of the whole state, by reason: after a restart of coold all readers connect together. */
  readonly #snapshots = new Map<SnapshotReason, { number: number; at: number; event: HostEventInit }>();

  constructor({ max = defaultMax, maxTopics = defaultMaxTopics, clock = Date.now, epoch }: EventLogOptions) {
    this.#max = max;
    this.#maxTopics = maxTopics;
    this.#clock = clock;
    this.#epoch = epoch ?? randomBytes(6).toString('hex');
  }

  know(topic: string, fact: Fact): void {
    const text = JSON.stringify(fact);
    const before = this.#known.get(topic);
    if (before?.text === text) return;
    const at = this.#clock();
    if (before !== undefined || this.#known.size < this.#maxTopics)
      this.#known.set(topic, { fact, at, text });
    this.#append(fact, at);
  }

  forget(topic: string, fact: Fact): void {
    if (this.#known.delete(topic)) this.#append(fact, this.#clock());
  }

  happened(fact: Fact): void {
    this.#append(fact, this.#clock());
  }

  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.changes.announce();
  }

  hasBegun(): boolean {
    return this.#begun;
  }

  known(topic: string): Fact | undefined {
    return this.#known.get(topic)?.fact;
  }

  topics(): Iterable<string> {
    return this.#known.keys();
  }

  read(since: string | undefined): EventReader {
    let position: Position =
      since === undefined ? { state: 'snapshot', reason: 'begin' } : this.#positionAfter(since);
    const snapshot = (reason: SnapshotReason) => {
      position = { state: 'following', read: this.#last };
      return this.#snapshot(reason);
    };
    return {
      next: () => {
        if (position.state === 'snapshot') return snapshot(position.reason);
        if (position.read < this.#oldest - 1) return snapshot('too_slow');
        if (position.read === this.#last) return undefined;
        position.read += 1;
        return this.#ring[position.read % this.#max];
      },
      alive: () => ({
        cursor: this.#cursorOf(position.state === 'following' ? position.read : this.#last),
        at: BigInt(this.#clock()),
        type: 'alive',
      }),
    };
  }

  get #oldest(): number {
    return Math.max(1, this.#last - this.#max + 1);
  }

  #cursorOf(number: number): string {
    return `${this.#epoch}-${number}`;
  }

  #append(fact: Fact, at: number): void {
    if (!this.#begun) return;
    this.#last += 1;
    this.#ring[this.#last % this.#max] = { ...fact, cursor: this.#cursorOf(this.#last), at: BigInt(at) };
    this.changes.announce();
  }

  /** @throws CursorError */
  #positionAfter(cursor: string): Position {
    const [, epoch, digits] = cursorPattern.exec(cursor) ?? [];
    if (epoch === undefined) throw new CursorError();
    const read = Number(digits);
    if (epoch !== this.#epoch) return { state: 'snapshot', reason: 'restarted' };
    if (read > this.#last) return { state: 'snapshot', reason: 'unknown' };
    if (read < this.#oldest - 1) return { state: 'snapshot', reason: 'too_old' };
    return { state: 'following', read };
  }

  /** Returns the event with the whole state: the beginning, or a gap. */
  #snapshot(reason: SnapshotReason): HostEventInit {
    const at = this.#clock();
    const before = this.#snapshots.get(reason);
    if (before !== undefined && before.number === this.#last && Math.abs(at - before.at) < snapshotMs)
      return before.event;
    const event: HostEventInit = {
      cursor: this.#cursorOf(this.#last),
      at: BigInt(at),
      ...(reason === 'begin' ? { type: 'begin', reason: '' } : { type: 'gap', reason }),
      known: [...this.#known.values()].map(({ fact, at: since }) => ({ ...fact, at: BigInt(since) })),
    };
    this.#snapshots.set(reason, { number: this.#last, at, event });
    return event;
  }
}
