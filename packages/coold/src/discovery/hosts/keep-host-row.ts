import { isMissingTable } from '@coold/corrosion';
import { type ChangeSignal, createChangeSignal, type Logger } from '@coold/runtime';

export interface HostRowOptions {
  /** The name of the table for the log. */
  table: string;
  /** Writes the row. */
  write(signal: AbortSignal): Promise<void>;
  /** The interval of writes, in ms. */
  everyMs: number;
  /** The pause after a failure, in ms. A missing table is no failure: the subscription to it logs that. */
  retryMs: number;
  /** Signals that the row has to be written at once. */
  now?: Pick<ChangeSignal, 'count' | 'later'>;
  log: Logger;
}

/** Writes this host's row of a table at intervals until the signal aborts. Never rejects. */
export async function keepHostRow(options: HostRowOptions, signal: AbortSignal): Promise<void> {
  const { table, write, everyMs, retryMs, now = createChangeSignal(), log } = options;
  while (!signal.aborted) {
    const seen = now.count();
    let waitMs = everyMs;
    try {
      await write(signal);
    } catch (error) {
      if (!isMissingTable(error)) waitMs = retryMs;
      if (!signal.aborted)
        log.debug({ err: error }, `this host's row of ${table} cannot be written; trying again`);
    }
    await now.later(seen, waitMs, signal);
  }
}
