import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger } from '@coold/runtime';
import type { Corrosion, Statement } from './client.ts';
import { CorrosionError, isMissingTable } from './failure.ts';
import type { ChangeKind, Frame } from './frame.ts';
import { noticeSilence } from './silence.ts';

/** What is told of a statement's answer and of everything that changes in it. */
export interface SubscriptionReader {
  /** The rows come, from the first on: whatever was told before is void once `finish` is called, and not sooner. */
  begin(): void;
  row(values: unknown[]): void;
  finish(): void;
  change(kind: ChangeKind, values: unknown[]): void;
  /** Whether every change is told as it happens. */
  connected(isConnected: boolean): void;
  /** It broke, and is about to be taken up again, or begun anew. */
  resubscribing(): void;
}

export interface KeptSubscription {
  /** Follows it until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Begins anew, because what was told is in doubt. */
  restart(why: string): void;
}

export interface SubscriptionOptions {
  /** For the log. */
  name: string;
  statement: Statement;
  /** As the statement selects them. */
  columns: readonly string[];
  reader: SubscriptionReader;
  /**
   * For a table that not every schema has: what is not done without it, for the log. A missing one is told as one without
   * rows, and is looked for again now and then.
   */
  optional?: string;
  /** Between two looks for a missing table, in ms. */
  absentMs?: number;
  log: Logger;
  backoff?: { firstMs: number; maxMs: number };
  /** How long the agent may say nothing before it is asked whether it lives, in ms. */
  quietMs?: number;
  /** Monotonic, ms. */
  now?: () => number;
}

/** The agent is on this host and may be back at any moment. */
const defaultBackoff = { firstMs: 100, maxMs: 2000 };
const defaultQuietMs = 10_000;
/** A schema is changed by hand, and the agent told to read it. */
const defaultAbsentMs = 30_000;
/** An agent keeps its changes for a while only; after a longer absence all rows are asked for again, ms. */
const resumeWithinMs = 30_000;

/** What was told is not what is there, or may not be: only all the rows again can mend it. */
function startOver(why: string): CorrosionError {
  return new CorrosionError('malformed', `cannot be followed: ${why}`);
}

/**
 * Keeps a subscription going whatever happens to the agent (docs/contract.md §5): taken up again where it was left,
 * anew after a gap, an error of the agent's, or anything that it does not understand.
 */
export function keepSubscription(corrosion: Corrosion, options: SubscriptionOptions): KeptSubscription {
  const { name, statement, columns, reader, log, now = () => performance.now() } = options;
  const { firstMs, maxMs } = options.backoff ?? defaultBackoff;
  const { quietMs = defaultQuietMs, absentMs = defaultAbsentMs, optional } = options;
  let position: { id: string; changeId: number; leftAt: number } | undefined;
  let attempt = new AbortController();
  let restarting: string | undefined;

  /** One stream, to its end. */
  const follow = async (signal: AbortSignal, on: { open(): void; good(): void }) => {
    const resumed = position !== undefined && now() - position.leftAt < resumeWithinMs ? position : undefined;
    let id = resumed?.id;
    let changeId = resumed?.changeId;
    let isLoading = resumed === undefined;
    if (isLoading) {
      position = undefined;
      reader.begin();
    }
    const good = () => {
      if (id !== undefined && changeId !== undefined) position = { id, changeId, leftAt: now() };
      on.good();
    };
    const dead = new AbortController();
    const silence = noticeSilence({
      quietMs,
      ask: within => corrosion.query(['SELECT 1', []], () => {}, within),
      onDead: why => dead.abort(new Error(why)),
    });
    const onFrame = (frame: Frame) => {
      silence.heard();
      switch (frame.kind) {
        case 'columns':
          if (frame.names.length !== columns.length || frame.names.some((one, n) => one !== columns[n]))
            throw startOver(`the columns are ${frame.names.join(', ')}: expected ${columns.join(', ')}`);
          return;
        case 'row':
          if (!isLoading) throw startOver('a row after the end of the rows');
          reader.row(frame.values);
          return;
        case 'end':
          if (!isLoading) return;
          isLoading = false;
          changeId = frame.changeId;
          reader.finish();
          reader.connected(true);
          good();
          return;
        case 'change':
          if (isLoading) throw startOver('a change before the end of the rows');
          // The first one after a resume too: the agent may have forgotten older ones and says nothing of it.
          if (changeId !== undefined && frame.changeId !== changeId + 1)
            throw startOver(`change ${frame.changeId} came after ${changeId}`);
          reader.change(frame.change, frame.values);
          changeId = frame.changeId;
          good();
          return;
        case 'error':
          throw startOver(`the agent gave it up: ${frame.message}`);
      }
    };
    const open = (given: string | undefined) => {
      id = given ?? id;
      if (resumed !== undefined) {
        log.info({ subscription: name, from: resumed.changeId }, 'subscription taken up again');
        reader.connected(true);
        on.open();
      }
    };
    try {
      const start = resumed === undefined ? { statement } : { id: resumed.id, from: resumed.changeId };
      await corrosion.subscribe(start, { open, frame: onFrame }, AbortSignal.any([signal, dead.signal]));
    } finally {
      silence.end();
      if (position !== undefined) position.leftAt = now();
    }
  };

  return {
    restart(why) {
      restarting = why;
      position = undefined;
      attempt.abort();
    },
    async run(stop) {
      const backoff = createBackoff({ firstMs, maxMs });
      let isKnownBroken = false;
      let isAbsent = false;
      while (!stop.aborted) {
        attempt = new AbortController();
        restarting = undefined;
        const begunAt = now();
        let why: unknown = 'the agent ended the stream';
        try {
          await follow(AbortSignal.any([stop, attempt.signal]), {
            open() {
              isKnownBroken = false;
            },
            good() {
              if (isAbsent) log.info({ subscription: name }, 'the table is there now');
              isAbsent = false;
              if (isKnownBroken) log.info({ subscription: name }, 'subscription is whole again');
              isKnownBroken = false;
            },
          });
        } catch (error) {
          why = (error as Error).message;
          if (optional !== undefined && isMissingTable(error) && !stop.aborted) {
            if (!isAbsent)
              log.warn(
                { subscription: name, effect: optional },
                `Corrosion has no table ${name}; install its schema file and run systemctl reload corrosion`,
              );
            isAbsent = true;
            isKnownBroken = false;
            reader.finish();
            reader.connected(true);
            await delay(absentMs, undefined, { signal: AbortSignal.any([stop, attempt.signal]) }).catch(
              () => {},
            );
            continue;
          }
          // What is not understood once may be understood from the start; what was not delivered is asked for again.
          const isBroken = error instanceof CorrosionError && error.fault === 'unreachable';
          if (!isBroken) position = undefined;
        }
        if (stop.aborted) break;
        if (restarting !== undefined) {
          why = restarting;
          // Set again, it may be, by what came before the stream took notice.
          position = undefined;
        }
        reader.connected(false);
        reader.resubscribing();
        // By how long it lasted, not by what it said: one that goes wrong after every load must not be loaded all the time.
        if (now() - begunAt > maxMs) backoff.reset();
        const waitMs = backoff.next();
        const next = position === undefined ? 'beginning anew' : 'taking it up again';
        const line = `subscription broke; what is known goes on being answered, ${next}`;
        log[isKnownBroken ? 'debug' : 'warn']({ subscription: name, why, again_in_ms: waitMs }, line);
        isKnownBroken = true;
        await delay(waitMs, undefined, { signal: stop }).catch(() => {});
      }
      reader.connected(false);
    },
  };
}
