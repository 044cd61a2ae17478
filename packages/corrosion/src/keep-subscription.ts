import { createBackoff, errorMessage, type Logger, pause } from '@coold/runtime';
import type { Corrosion, Statement } from './client.ts';
import { CorrosionError, isMissingTable } from './failure.ts';
import type { ChangeKind, Frame } from './frame.ts';
import { noticeSilence } from './silence.ts';

/** The receiver of a subscription: the rows of a statement and all changes of them. */
export interface SubscriptionReader {
  /** All rows follow. The rows received before stay valid until `finish` is called. */
  begin(): void;
  row(values: unknown[]): void;
  /** All rows have been received; earlier ones are void now. */
  finish(): void;
  change(kind: ChangeKind, values: unknown[]): void;
  /** Called with whether changes are received as they happen. */
  connected(isConnected: boolean): void;
  /** The subscription broke and will be resumed or restarted. @param why for people */
  resubscribing(why: string): void;
}

export interface SubscriptionOptions {
  /** The name of the subscription for the log. */
  name: string;
  statement: Statement;
  /** The columns that the statement selects, in order. */
  columns: readonly string[];
  reader: SubscriptionReader;
  /**
   * Set for a table that not every schema has: what does not work without it, for the log. A missing table counts as empty and
   * is looked for again at intervals.
   */
  optional?: string;
  /** The interval of checks for a missing table, in ms. */
  absentMs?: number;
  log: Logger;
  backoff?: { firstMs: number; maxMs: number };
  /** How long the agent may send nothing before it is asked whether it is alive, in ms. */
  quietMs?: number;
  /** Returns a monotonic time in ms. */
  now?: () => number;
}

/** Short waits, since the agent is on this host and may be back at any moment. */
const defaultBackoff = { firstMs: 100, maxMs: 2000 };
const defaultQuietMs = 10_000;
/** The default interval. An operator installs a schema by hand. */
const defaultAbsentMs = 30_000;
/** How long after a break a subscription is resumed, in ms. The agent keeps changes for a limited time; later, all rows are read again. */
const resumeWithinMs = 30_000;

/** Where a subscription resumes after a break. */
interface Position {
  /** The id that the agent gave the subscription. */
  id: string;
  /** The last change that was received. */
  changeId: number;
  /** When the stream ended, monotonic, in ms. */
  leftAt: number;
}

/** The stream that is being read: first all rows, unless it was resumed, then changes in order. */
interface Stream {
  isLoading: boolean;
  /** The id that the agent gave the subscription. */
  id: string | undefined;
  /** The last change that was received. undefined: the agent sent no ids. */
  changeId: number | undefined;
}

/**
 * Keeps a subscription going whatever happens to the agent (docs/contract.md §5). After a break it is resumed. After a gap, an
 * error of the agent, or an answer that is not understood, it restarts with all rows.
 */
export class KeptSubscription {
  readonly #corrosion: Corrosion;
  readonly #options: SubscriptionOptions;
  readonly #now: () => number;
  /** undefined: the next stream begins with all rows. */
  #position: Position | undefined;
  /** Aborted by `restart`. */
  #attempt = new AbortController();
  /** Why `restart` was called during the present attempt. */
  #restarting: string | undefined;
  /** Whether the log says that the subscription is broken. */
  #isKnownBroken = false;
  /** Whether the log says that the table is missing. */
  #isAbsent = false;

  constructor(corrosion: Corrosion, options: SubscriptionOptions) {
    this.#corrosion = corrosion;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Restarts the subscription with all rows, because the received data may be wrong. @param why for people */
  restart(why: string): void {
    this.#restarting = why;
    this.#position = undefined;
    this.#attempt.abort();
  }

  /** Keeps the subscription going until the signal aborts. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    const { name, reader, log, absentMs = defaultAbsentMs } = this.#options;
    const { firstMs, maxMs } = this.#options.backoff ?? defaultBackoff;
    const backoff = createBackoff({ firstMs, maxMs });
    while (!stop.aborted) {
      this.#attempt = new AbortController();
      this.#restarting = undefined;
      const begunAt = this.#now();
      const within = AbortSignal.any([stop, this.#attempt.signal]);
      let why = 'the agent ended the stream';
      try {
        await this.#follow(within);
      } catch (error) {
        if (!stop.aborted && this.#takeMissingTable(error)) {
          await pause(absentMs, within);
          continue;
        }
        why = errorMessage(error);
        // After a broken connection the subscription is resumed. After any other error it restarts.
        const isBroken = error instanceof CorrosionError && error.fault === 'unreachable';
        if (!isBroken) this.#position = undefined;
      }
      if (stop.aborted) break;
      if (this.#restarting !== undefined) {
        why = this.#restarting;
        // A frame that arrived before the stream was aborted may have set the position again.
        this.#position = undefined;
      }
      reader.connected(false);
      reader.resubscribing(why);
      // Depends on how long the stream lasted: one that fails after every load must not be loaded again and again.
      if (this.#now() - begunAt > maxMs) backoff.reset();
      const waitMs = backoff.next();
      const next = this.#position === undefined ? 'loading all rows again' : 'resuming';
      const line = `subscription broke; the last known rows stay in use; ${next}`;
      log[this.#isKnownBroken ? 'debug' : 'warn']({ subscription: name, why, again_in_ms: waitMs }, line);
      this.#isKnownBroken = true;
      await pause(waitMs, stop);
    }
    reader.connected(false);
  }

  /** Reads one stream to its end. @throws CorrosionError */
  async #follow(signal: AbortSignal): Promise<void> {
    const { name, reader, log, quietMs = defaultQuietMs } = this.#options;
    const last = this.#position;
    const resumed = last !== undefined && this.#now() - last.leftAt < resumeWithinMs ? last : undefined;
    const stream: Stream = { isLoading: resumed === undefined, id: resumed?.id, changeId: resumed?.changeId };
    if (resumed === undefined) {
      this.#position = undefined;
      reader.begin();
    }
    const dead = new AbortController();
    const silence = noticeSilence({
      quietMs,
      ask: within => this.#corrosion.query(['SELECT 1', []], () => {}, within),
      onDead: why => dead.abort(new Error(why)),
    });
    const on = {
      open: (given: string | undefined) => {
        stream.id = given ?? stream.id;
        if (resumed === undefined) return;
        log.info({ subscription: name, from: resumed.changeId }, 'subscription resumed');
        reader.connected(true);
        this.#isKnownBroken = false;
      },
      frame: (frame: Frame) => {
        silence.heard();
        this.#take(frame, stream);
      },
    };
    const { statement } = this.#options;
    const start = resumed === undefined ? { statement } : { id: resumed.id, from: resumed.changeId };
    try {
      await this.#corrosion.subscribe(start, on, AbortSignal.any([signal, dead.signal]));
    } finally {
      silence.end();
      if (this.#position !== undefined) this.#position.leftAt = this.#now();
    }
  }

  /** Passes a frame on to the reader. @throws CorrosionError for data that is or may be wrong, so that all rows must be read again */
  #take(frame: Frame, stream: Stream): void {
    const { columns, reader } = this.#options;
    switch (frame.kind) {
      case 'columns':
        if (frame.names.length !== columns.length || frame.names.some((one, n) => one !== columns[n]))
          throw startOver(`the columns are ${frame.names.join(', ')}: expected ${columns.join(', ')}`);
        return;
      case 'row':
        if (!stream.isLoading) throw startOver('a row after the end of the rows');
        reader.row(frame.values);
        return;
      case 'end':
        if (!stream.isLoading) return;
        stream.isLoading = false;
        stream.changeId = frame.changeId;
        reader.finish();
        reader.connected(true);
        this.#received(stream);
        return;
      case 'change':
        if (stream.isLoading) throw startOver('a change before the end of the rows');
        // Checked for the first change after a resume, too: the agent may have dropped older changes silently.
        if (stream.changeId !== undefined && frame.changeId !== stream.changeId + 1)
          throw startOver(`change ${frame.changeId} came after ${stream.changeId}`);
        reader.change(frame.change, frame.values);
        stream.changeId = frame.changeId;
        this.#received(stream);
        return;
      case 'error':
        throw startOver(`the agent gave it up: ${frame.message}`);
    }
  }

  /** Records that everything up to a change was received, and that the subscription works. */
  #received({ id, changeId }: Stream): void {
    const { name, log } = this.#options;
    if (id !== undefined && changeId !== undefined) this.#position = { id, changeId, leftAt: this.#now() };
    if (this.#isAbsent) log.info({ subscription: name }, 'the missing table exists now');
    this.#isAbsent = false;
    if (this.#isKnownBroken) log.info({ subscription: name }, 'subscription is whole again');
    this.#isKnownBroken = false;
  }

  /** Treats a missing optional table as an empty one. Returns false for any other error. */
  #takeMissingTable(error: unknown): boolean {
    const { name, optional, reader, log } = this.#options;
    if (optional === undefined || !isMissingTable(error)) return false;
    if (!this.#isAbsent)
      log.warn(
        { subscription: name, effect: optional },
        `Corrosion has no table ${name}; install its schema file and run systemctl reload corrosion`,
      );
    this.#isAbsent = true;
    this.#isKnownBroken = false;
    reader.finish();
    reader.connected(true);
    return true;
  }
}

function startOver(why: string): CorrosionError {
  return new CorrosionError('malformed', `cannot be followed: ${why}`);
}

/** Returns a subscription that does nothing until it runs. */
export function keepSubscription(corrosion: Corrosion, options: SubscriptionOptions): KeptSubscription {
  return new KeptSubscription(corrosion, options);
}
