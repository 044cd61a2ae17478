import { type Corrosion, isMissingTable } from '@coold/corrosion';
import { errorMessage, type Logger, pause, untilAborted } from '@coold/runtime';
import type { BrokerLives } from './broker-lives.ts';
import { deleteHeartbeat, upsertHeartbeat } from './heartbeat.ts';
import { createDeadBrokerRemoval } from './remove-dead-brokers.ts';

/** Writes that this broker lives, and removes the rows of brokers that have been dead for long. */
export interface HeartbeatWriter {
  /** Writes until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** Writes at once. */
  beatNow(): void;
  /** Removes this broker's row, and writes no more. @throws CorrosionError */
  withdraw(signal: AbortSignal): Promise<void>;
  /** Returns how long ago the row was last written, in ms. undefined: the schema has no such table. */
  ageMs(): number | undefined;
}

export interface HeartbeatWriterOptions {
  corrosion: Pick<Corrosion, 'execute'>;
  lives: Pick<BrokerLives, 'list'>;
  brokerId: string;
  /** Where the others dial this broker, `host:port`. */
  address: string;
  /** After how long without a heartbeat a broker is dead, in ms. */
  ttlMs: number;
  /** Returns the time in ms since 1970. */
  clock: () => number;
  /** After how many times `ttlMs` since its death the rows of a broker are removed. */
  ttlsUntilRemoval?: number;
  /** Returns a number between 0 and 1. */
  random?: () => number;
  log: Logger;
}

/** The longest interval of heartbeats, in ms. At least four are written within `ttlMs`. */
const longestBeatMs = 10_000;

export function createHeartbeatWriter(options: HeartbeatWriterOptions): HeartbeatWriter {
  const { corrosion, brokerId, address, ttlMs, clock, random = Math.random, log } = options;
  const removeDeadBrokers = createDeadBrokerRemoval(options);
  const beatMs = Math.min(longestBeatMs, ttlMs / 4);
  let lastBeat = 0;
  let writtenAt: number | undefined = performance.now();
  let wake = new AbortController();
  let isWithdrawn = false;
  /** Whether the last write failed. */
  let isBroken = false;
  /** The heartbeat under way. */
  let writing: Promise<void> = Promise.resolve();

  /** @returns whether it was written */
  async function write(signal: AbortSignal): Promise<boolean> {
    // Another number each time, even when the clock was set back.
    lastBeat = Math.max(lastBeat + 1, clock());
    try {
      await corrosion.execute([upsertHeartbeat({ brokerId, address, beat: lastBeat })], signal);
      writtenAt = performance.now();
      if (isBroken) log.info({}, 'the heartbeat of this broker is written again');
      isBroken = false;
      return true;
    } catch (error) {
      if (!signal.aborted) fail(error);
      return false;
    }
  }

  function fail(error: unknown): void {
    // The subscription to the table logs that it is missing, and what to do.
    if (isMissingTable(error)) {
      writtenAt = undefined;
      return;
    }
    writtenAt ??= performance.now();
    log[isBroken ? 'debug' : 'warn'](
      { why: errorMessage(error) },
      'the heartbeat of this broker cannot be written; other brokers will take it for dead',
    );
    isBroken = true;
  }

  async function beat(signal: AbortSignal): Promise<void> {
    if (await write(signal)) await removeDeadBrokers(signal);
  }

  return {
    async run(signal) {
      while (!signal.aborted && !isWithdrawn) {
        wake = new AbortController();
        writing = beat(signal);
        await writing;
        // Spread, so that brokers do not write at the same moment. Never later than the interval.
        const waitMs = beatMs * (0.8 + 0.2 * random());
        await pause(waitMs, AbortSignal.any([signal, wake.signal]));
      }
    },
    beatNow: () => wake.abort(),
    async withdraw(signal) {
      isWithdrawn = true;
      wake.abort();
      await Promise.race([writing, untilAborted(signal)]);
      try {
        await corrosion.execute([deleteHeartbeat(brokerId)], signal);
      } catch (error) {
        if (!isMissingTable(error)) throw error;
      }
    },
    ageMs: () => (writtenAt === undefined ? undefined : performance.now() - writtenAt),
  };
}
