import type { Response } from '@coold/proto';
import { type Attached, type Carrier, DispatchesByStream } from './dispatches-by-stream.ts';

/** The end of a dispatch, for its caller. */
export type Outcome =
  | { kind: 'answered'; response: Response }
  | { kind: 'timeout' | 'disconnected' | 'stopping' };

/** A claimed request id. The caller's reply reports here whether it was sent. */
export interface Ticket {
  /** Calls `listen` with the outcome as soon as it is known, which may be at once. */
  whenSettled(listen: (outcome: Outcome) => void): void;
  readonly outcome: Promise<Outcome>;
  /** Call when the reply was sent whole: the id is free again. */
  delivered(): void;
  /** Call when the caller has left. Its answer, whether it is here or still comes, is kept for a repeated dispatch. */
  undelivered(): void;
  /** Call when the command was not sent to the host after all: the id is free again. */
  withdraw(): void;
}

export type Claim = { kind: 'claimed'; ticket: Ticket } | { kind: 'in flight' | 'full' | 'stopping' };

/** A request id that a stream or a build uses. It counts against the cap until it is released. */
export type Hold = { kind: 'held'; release(): void } | { kind: 'in flight' | 'full' | 'stopping' };

/** Identifies the question that a request id stands for. A landed answer is given only to the same question. */
export interface Subject {
  requestId: string;
  hostId: string;
  verb: string;
}

/** How long a dispatch waits for its answer, if that differs from the general timeout. */
export interface Patience {
  /** The deadline of the command itself, in ms. It counts when it is longer than the timeout. */
  ownMs?: number | undefined;
  /** How long the caller waits, in ms. The dispatch does not wait longer. */
  atMostMs?: number | undefined;
}

/** The result of taking an answer. All but 'delivered' and 'landed' changed nothing, and are worth a log line. */
export type Receipt = 'delivered' | 'landed' | 'duplicate' | 'unknown' | 'of another host';

export interface PendingOptions {
  /** The cap on waiting and landed dispatches, live streams and builds together (docs/contract.md §2). */
  max: number;
  /** How long a caller waits for an answer until it gets `timeout`, in ms. */
  timeoutMs: number;
  /** How long a landed answer is kept for a repeated dispatch, in ms. */
  landedTtlMs: number;
  /** How long after a timeout an answer is still expected, in ms. */
  overdueTtlMs: number;
  /** The most bytes of landed answers that are kept. Beyond it the oldest are dropped, whatever their age. */
  landedMaxBytes: number;
}

/** The dispatches in progress, by request id (docs/contract.md §2). `DispatchState` lists the states of a dispatch. */
export interface Pending {
  /**
   * Returns a ticket with the answer that an earlier dispatch of the same question left; undefined when there is none.
   */
  takeLanded(subject: Subject): Ticket | undefined;
  /** Claims an id for a dispatch whose command is sent on `stream`. */
  claim(subject: Subject, stream: Carrier, patience?: Patience): Claim;
  /**
   * Claims an id for a stream or a build, which have states of their own. They share one space of ids with dispatches.
   */
  hold(requestId: string): Hold;
  /** Handles a host's answer, which came on `stream` and uses `bytes` of memory. */
  answer(stream: Carrier, response: Response, bytes: number): Receipt;
  /** Call when the stream is lost: its waiting dispatches end now, and its overdue ones are forgotten. */
  disconnected(stream: Carrier): void;
  /** Refuses further claims, and ends what still waits after `graceMs`. Resolves when nothing waits. Never rejects. */
  drain(graceMs: number): Promise<void>;
  counts(): { waiting: number; landed: number; overdue: number };
  /** Returns how many landed answers and overdue dispatches were dropped before their time to make room, since the start. */
  evictions(): { landed: number; overdue: number };
}

/**
 * The state of a dispatch. Allowed transitions: waiting → replying or overdue, overdue → landed, landed → replying,
 * replying → landed, and every state → gone.
 */
type DispatchState =
  /** The host was sent the command, and the caller waits for the answer. It counts against the cap. */
  | 'waiting'
  /** The answer has arrived, and the reply is being written. It counts against the cap. */
  | 'replying'
  /** The caller got `timeout`, or hung up, before the answer came. The id is free, and the host may still answer. */
  | 'overdue'
  /**
   * The answer has arrived and no caller got it. The next dispatch of the same question gets it. It counts against the
   * cap.
   */
  | 'landed'
  /** It is not in the table any more, and calls on it have no effect. */
  | 'gone';

interface Entry extends Subject, Attached {
  state: DispatchState;
  /** The current ticket. A ticket whose caller has its outcome is replaced when the next caller claims the id. */
  ticket: ParkedTicket | undefined;
  answer: { response: Response; bytes: number } | undefined;
  /** Ends the state when its time is over. */
  timer: NodeJS.Timeout | undefined;
}

/** What a ticket does with its dispatch, while it is the current one. */
interface TicketMoves {
  delivered(entry: Entry): void;
  undelivered(entry: Entry): void;
  withdraw(entry: Entry): void;
}

/** A promise is created only on request: each costs a dispatch a turn of the microtask queue. */
class ParkedTicket implements Ticket {
  readonly #entry: Entry;
  readonly #moves: TicketMoves;
  #outcome: Outcome | undefined;
  #listeners: ((outcome: Outcome) => void)[] = [];

  constructor(entry: Entry, moves: TicketMoves) {
    this.#entry = entry;
    this.#moves = moves;
  }

  get outcome(): Promise<Outcome> {
    return new Promise(resolve => this.whenSettled(resolve));
  }

  whenSettled(listen: (outcome: Outcome) => void): void {
    if (this.#outcome === undefined) this.#listeners.push(listen);
    else listen(this.#outcome);
  }

  /** The first outcome counts. */
  settle(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    const listeners = this.#listeners;
    this.#listeners = noListeners;
    for (const listen of listeners) listen(outcome);
  }

  delivered(): void {
    // A caller that got `timeout` may leave while the next caller is already being sent the late answer.
    if (this.#entry.ticket === this) this.#moves.delivered(this.#entry);
  }

  undelivered(): void {
    if (this.#entry.ticket === this) this.#moves.undelivered(this.#entry);
  }

  withdraw(): void {
    this.#moves.withdraw(this.#entry);
  }
}

const noListeners: never[] = [];
const ignore = () => {};

export function createPending(options: PendingOptions): Pending {
  return new PendingTable(options);
}

/** Every change of state goes through `#enter`, from the methods below it that are named after the new state. */
class PendingTable implements Pending {
  readonly #options: PendingOptions;
  /** All dispatches in a state other than gone. */
  readonly #entries = new Map<string, Entry>();
  /** Dispatches without an answer, by the stream on which the answer comes. */
  readonly #byStream = new DispatchesByStream<Entry>();
  /** Dispatches in the state landed, oldest first. */
  readonly #landed = new Set<Entry>();
  /** Dispatches in the state overdue, oldest first. */
  readonly #overdue = new Set<Entry>();
  /** The ids of streams and builds. */
  readonly #held = new Set<string>();
  /** Resolves once the broker drains and nothing waits. */
  readonly #idle = Promise.withResolvers<void>();
  readonly #evicted = { landed: 0, overdue: 0 };
  /** The number of dispatches in the state waiting. */
  #waiting = 0;
  #landedBytes = 0;
  #isDraining = false;
  // Shared by all dispatches, because a closure for each would be garbage for each.
  readonly #onTimeout = (entry: Entry) => {
    const { ticket } = entry;
    this.#becomeOverdue(entry);
    ticket?.settle({ kind: 'timeout' });
  };
  readonly #onForgotten = (entry: Entry) => this.#becomeGone(entry);
  readonly #moves: TicketMoves = {
    delivered: entry => {
      if (entry.state === 'replying') this.#becomeGone(entry);
    },
    undelivered: entry => {
      if (entry.state === 'waiting') this.#becomeOverdue(entry);
      else if (entry.state === 'replying') this.#becomeLanded(entry);
    },
    withdraw: entry => {
      if (entry.state === 'waiting') this.#becomeGone(entry);
    },
  };

  constructor(options: PendingOptions) {
    this.#options = options;
  }

  takeLanded({ requestId, hostId, verb }: Subject): Ticket | undefined {
    const entry = this.#entries.get(requestId);
    if (entry?.state !== 'landed' || entry.answer === undefined) return undefined;
    if (entry.hostId !== hostId || entry.verb !== verb) return undefined;
    const ticket = this.#ticketOf(entry);
    this.#enter(entry, 'replying', undefined, ignore);
    ticket.settle({ kind: 'answered', response: entry.answer.response });
    return ticket;
  }

  claim(
    subject: Subject,
    stream: Carrier,
    { ownMs = 0, atMostMs = Number.POSITIVE_INFINITY }: Patience = {},
  ): Claim {
    const kind = this.#makeFree(subject.requestId);
    if (kind !== undefined) return { kind };
    const entry: Entry = {
      ...subject,
      earlier: undefined,
      later: undefined,
      state: 'gone',
      stream,
      ticket: undefined,
      answer: undefined,
      timer: undefined,
    };
    const ticket = this.#ticketOf(entry);
    this.#entries.set(entry.requestId, entry);
    this.#byStream.attach(entry);
    const waitMs = Math.min(atMostMs, Math.max(ownMs, this.#options.timeoutMs));
    this.#enter(entry, 'waiting', waitMs, this.#onTimeout);
    return { kind: 'claimed', ticket };
  }

  hold(requestId: string): Hold {
    const kind = this.#makeFree(requestId);
    if (kind !== undefined) return { kind };
    this.#held.add(requestId);
    let isReleased = false;
    return {
      kind: 'held',
      release: () => {
        if (!isReleased) this.#held.delete(requestId);
        isReleased = true;
      },
    };
  }

  answer(stream: Carrier, response: Response, bytes: number): Receipt {
    const entry = this.#entries.get(response.requestId);
    if (entry === undefined) return 'unknown';
    if (entry.stream !== stream) return 'of another host';
    if (entry.answer !== undefined) return 'duplicate';
    entry.answer = { response, bytes };
    this.#byStream.detach(entry);
    if (entry.state === 'overdue') {
      this.#becomeLanded(entry);
      return 'landed';
    }
    this.#enter(entry, 'replying', undefined, ignore);
    this.#announceIdle();
    entry.ticket?.settle({ kind: 'answered', response });
    return 'delivered';
  }

  disconnected(stream: Carrier): void {
    for (const entry of this.#byStream.of(stream)) {
      if (entry.state === 'waiting') this.#end(entry, { kind: 'disconnected' });
      else this.#becomeGone(entry);
    }
  }

  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    this.#announceIdle();
    const timer = setTimeout(() => {
      for (const entry of [...this.#entries.values()])
        if (entry.state === 'waiting') this.#end(entry, { kind: 'stopping' });
    }, graceMs);
    await this.#idle.promise;
    clearTimeout(timer);
  }

  counts(): { waiting: number; landed: number; overdue: number } {
    return { waiting: this.#countActive(), landed: this.#landed.size, overdue: this.#overdue.size };
  }

  evictions(): { landed: number; overdue: number } {
    return { ...this.#evicted };
  }

  /** Changes the state, and all counts that depend on it. @param onTimer called after `ms` in the state */
  #enter(entry: Entry, state: DispatchState, ms: number | undefined, onTimer: (entry: Entry) => void): void {
    clearTimeout(entry.timer);
    if (this.#landed.delete(entry)) this.#landedBytes -= entry.answer?.bytes ?? 0;
    this.#overdue.delete(entry);
    if (entry.state === 'waiting') this.#waiting -= 1;
    if (state === 'waiting') this.#waiting += 1;
    entry.state = state;
    entry.timer = ms === undefined ? undefined : setTimeout(onTimer, ms, entry);
  }

  #becomeOverdue(entry: Entry): void {
    this.#enter(entry, 'overdue', this.#options.overdueTtlMs, this.#onForgotten);
    this.#overdue.add(entry);
    // Overdue dispatches do not count against the cap, which a host that never answers would use up. So they have a
    // limit of their own.
    const [oldest] = this.#overdue;
    if (this.#overdue.size > this.#options.max && oldest !== undefined) {
      this.#evicted.overdue += 1;
      this.#becomeGone(oldest);
    }
    this.#announceIdle();
  }

  #becomeLanded(entry: Entry): void {
    this.#enter(entry, 'landed', this.#options.landedTtlMs, this.#onForgotten);
    this.#landed.add(entry);
    this.#landedBytes += entry.answer?.bytes ?? 0;
    for (const oldest of this.#landed) {
      if (this.#landedBytes <= this.#options.landedMaxBytes) break;
      this.#evicted.landed += 1;
      this.#becomeGone(oldest);
    }
    this.#announceIdle();
  }

  #becomeGone(entry: Entry): void {
    this.#enter(entry, 'gone', undefined, ignore);
    this.#byStream.detach(entry);
    this.#entries.delete(entry.requestId);
    // When a map outgrows its table, the old table becomes garbage. If that table is old, V8's young collections keep what it
    // referred to alive: 3 KB of each dispatch became old that way. Since an entry that is gone holds nothing, it is 0.3 KB.
    entry.ticket = undefined;
    entry.answer = undefined;
    this.#announceIdle();
  }

  /** waiting → gone; the caller gets `outcome`. */
  #end(entry: Entry, outcome: Outcome): void {
    const { ticket } = entry;
    this.#becomeGone(entry);
    ticket?.settle(outcome);
  }

  #ticketOf(entry: Entry): ParkedTicket {
    const ticket = new ParkedTicket(entry, this.#moves);
    entry.ticket = ticket;
    return ticket;
  }

  /** Frees an id if possible. @returns the reason why it is taken; undefined when it is free */
  #makeFree(requestId: string): 'in flight' | 'full' | 'stopping' | undefined {
    if (this.#isDraining) return 'stopping';
    const former = this.#entries.get(requestId);
    if (former?.state === 'waiting' || former?.state === 'replying' || this.#held.has(requestId))
      return 'in flight';
    if (former !== undefined) this.#becomeGone(former);
    return this.#countActive() + this.#landed.size + this.#held.size >= this.#options.max
      ? 'full'
      : undefined;
  }

  /** Returns how many dispatches are waiting or replying. */
  #countActive(): number {
    return this.#entries.size - this.#landed.size - this.#overdue.size;
  }

  #announceIdle(): void {
    if (this.#isDraining && this.#waiting === 0) this.#idle.resolve();
  }
}
