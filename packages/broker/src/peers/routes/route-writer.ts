import type { Corrosion } from '@coold/corrosion';
import {
  type Backoff,
  createBackoff,
  createChangeSignal,
  errorMessage,
  type Logger,
  pause,
  untilAborted,
} from '@coold/runtime';
import { OwnRoutes } from './own-routes.ts';
import { deleteRoutesOf } from './route.ts';
import type { RouteTable } from './route-table.ts';

/** Keeps this broker's own rows in Corrosion as they should be, whatever happens to Corrosion. */
export interface RouteWriter {
  /** @param at when the host connected, in ms since 1970 */
  connected(hostId: string, at: number): void;
  disconnected(hostId: string): void;
  /** All routes were read. Rows are written from the first time on, since only then they can be made later than all others. */
  loaded(): void;
  /** Corrosion may have lost what it acknowledged: all rows are written again. That changes no row that is as it should be. */
  doubt(): void;
  /** Writes until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** Removes all rows of this broker, and writes no more. @throws CorrosionError */
  withdraw(signal: AbortSignal): Promise<void>;
  /** Returns how many rows have to be written, and how many writes have failed since the start. */
  stats(): { behind: number; failures: number };
}

export interface RouteWriterOptions {
  corrosion: Pick<Corrosion, 'execute'>;
  table: Pick<RouteTable, 'ofOthers' | 'own'>;
  brokerId: string;
  /** Where the others dial this broker, `host:port`. */
  address: string;
  log: Logger;
  backoff?: { firstMs: number; maxMs: number };
  /** Changes within this time, in ms, are written in one transaction. */
  gatherMs?: number;
  /** The interval at which the rows in Corrosion are compared with what they should be, in ms. */
  auditMs?: number;
  /** How long another broker's route may be later than that of a host whose stream is here, in ms. */
  contestedMs?: number;
}

/** The most rows of one transaction, during which the agent holds its lock. 10,000 hosts that come back are 20 transactions. */
const rowsAtOnce = 500;
const defaultBackoff = { firstMs: 200, maxMs: 10_000 };
const defaultGatherMs = 50;
const defaultAuditMs = 30_000;
/** Longer than the 40 s for which a stream is kept whose host is gone (docs/contract.md §1): a stream that outlives it is real. */
const defaultContestedMs = 60_000;

export function createRouteWriter(options: RouteWriterOptions): RouteWriter {
  const writer = new WriterOfOwnRoutes(options);
  return {
    connected: (hostId, at) => writer.routes.connected(hostId, at),
    disconnected: hostId => writer.routes.disconnected(hostId),
    loaded: () => writer.loaded(),
    doubt: () => writer.routes.markAllDirty(),
    run: signal => writer.run(signal),
    withdraw: signal => writer.withdraw(signal),
    stats: () => ({ behind: writer.routes.dirtyCount, failures: writer.failures }),
  };
}

class WriterOfOwnRoutes {
  readonly routes: OwnRoutes;
  /** How many writes have failed since the start. */
  failures = 0;
  readonly #options: RouteWriterOptions;
  readonly #backoff: Backoff;
  /** Announced when a row becomes dirty, and when the rows are withdrawn. */
  readonly #changes = createChangeSignal();
  /** Resolves when all routes were read for the first time. */
  readonly #firstLoad = Promise.withResolvers<void>();
  /** The transaction under way. */
  #writing: Promise<void> = Promise.resolve();
  /** Whether the rows that an earlier process of this broker left have yet to be deleted. */
  #hasFormerRows = true;
  #isWithdrawn = false;
  /** Whether the last write failed. */
  #isBroken = false;
  #auditedAt = performance.now();

  constructor(options: RouteWriterOptions) {
    const { table, brokerId, address, contestedMs = defaultContestedMs, log } = options;
    this.#options = options;
    this.#backoff = createBackoff(options.backoff ?? defaultBackoff);
    const onDirty = () => this.#changes.announce();
    this.routes = new OwnRoutes({ table, brokerId, address, contestedMs, onDirty, log });
  }

  loaded(): void {
    this.#firstLoad.resolve();
    if (!this.#hasFormerRows) this.#audit();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { gatherMs = defaultGatherMs } = this.#options;
    await Promise.race([this.#firstLoad.promise, untilAborted(signal)]);
    while (!this.#isOver(signal)) {
      await this.#untilNeeded(signal);
      if (this.#isOver(signal)) return;
      // The first change waits for those that come with it. Further transactions follow each other while rows are dirty.
      await pause(gatherMs, signal);
      if (this.#isWithdrawn) return;
      try {
        this.#writing = this.#write(signal);
        await this.#writing;
        this.#recover();
      } catch (error) {
        if (this.#isOver(signal)) return;
        await pause(this.#fail(error), signal);
      }
    }
  }

  async withdraw(signal: AbortSignal): Promise<void> {
    this.#isWithdrawn = true;
    this.#changes.announce();
    // A transaction under way could otherwise be executed after the deletion.
    await Promise.race([this.#writing.catch(() => {}), untilAborted(signal)]);
    await this.#options.corrosion.execute([deleteRoutesOf(this.#options.brokerId)], signal);
  }

  /** Waits until rows are dirty. Audits when it is time to, however much is written meanwhile. */
  async #untilNeeded(signal: AbortSignal): Promise<void> {
    if (this.#hasFormerRows) return;
    const { auditMs = defaultAuditMs } = this.#options;
    const leftMs = () => Math.max(0, this.#auditedAt + auditMs - performance.now());
    const seen = this.#changes.count();
    if (this.routes.dirtyCount === 0) await this.#changes.later(seen, leftMs(), signal);
    if (leftMs() === 0) this.#audit();
  }

  #audit(): void {
    this.#auditedAt = performance.now();
    this.routes.audit();
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { corrosion, brokerId } = this.#options;
    const rows = this.routes.takeDirty(rowsAtOnce);
    const statements = this.#hasFormerRows ? [deleteRoutesOf(brokerId), ...rows.statements] : rows.statements;
    try {
      if (statements.length > 0) await corrosion.execute(statements, signal);
      this.#hasFormerRows = false;
    } catch (error) {
      // Written again even though the transaction may have been executed.
      this.routes.putBack(rows);
      throw error;
    }
  }

  #recover(): void {
    if (this.#isBroken)
      this.#options.log.info({ behind: this.routes.dirtyCount }, 'routes are written again');
    this.#isBroken = false;
    this.#backoff.reset();
  }

  /** @returns how long to wait before the next write, in ms */
  #fail(error: unknown): number {
    this.failures += 1;
    const waitMs = this.#backoff.next();
    const line = { why: errorMessage(error), behind: this.routes.dirtyCount, again_in_ms: waitMs };
    this.#options.log[this.#isBroken ? 'debug' : 'warn'](
      line,
      'routes cannot be written; hosts are served, other brokers do not find them here',
    );
    this.#isBroken = true;
    return waitMs;
  }

  #isOver(signal: AbortSignal): boolean {
    return signal.aborted || this.#isWithdrawn;
  }
}
