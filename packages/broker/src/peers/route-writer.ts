import { setTimeout as delay } from 'node:timers/promises';
import type { Corrosion, Statement } from '@coold/corrosion';
import { createBackoff, type Logger } from '@coold/runtime';
import { deleteRoute, deleteRoutesOf, type Route, upsertRoute } from './route.ts';
import type { RouteTable } from './route-table.ts';

/** Brings this broker's own rows to what is connected to it, whatever becomes of Corrosion meanwhile. */
export interface RouteWriter {
  /** @param at Unix time in ms */
  connected(hostId: string, at: number): void;
  disconnected(hostId: string): void;
  /** Routes were read whole: from the first time on there is something to be later than, and rows are written. */
  loaded(): void;
  /** Writes until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Takes all rows of this broker away; nothing is written any more. @throws CorrosionError */
  withdraw(signal: AbortSignal): Promise<void>;
  stats(): { behind: number; failures: number };
}

export interface RouteWriterOptions {
  corrosion: Pick<Corrosion, 'execute'>;
  table: Pick<RouteTable, 'ofOthers' | 'own'>;
  brokerId: string;
  /** Where the others dial this broker. */
  address: string;
  log: Logger;
  backoff?: { firstMs: number; maxMs: number };
  /** What comes within so many ms is one transaction. */
  gatherMs?: number;
  /** How often what is in Corrosion is compared with what should be, in ms. */
  auditMs?: number;
  /** How long another broker's route may be later than that of a host whose stream is here, in ms. */
  contestedMs?: number;
}

/** Of one transaction: the agent holds its lock meanwhile. Ten thousand hosts that come back are twenty of them. */
const rowsAtOnce = 500;
const defaultBackoff = { firstMs: 200, maxMs: 10_000 };
const defaultGatherMs = 50;
const defaultAuditMs = 30_000;
/**
 * Longer than a stream is kept whose host is gone (docs/contract.md §1: 40 s): one that lives on after it is where the
 * host is.
 */
const defaultContestedMs = 60_000;

export function createRouteWriter(options: RouteWriterOptions): RouteWriter {
  const { corrosion, table, brokerId, address, log } = options;
  const { gatherMs = defaultGatherMs, auditMs = defaultAuditMs } = options;
  const { contestedMs = defaultContestedMs } = options;
  /** What should be there: when its host came, or later. */
  const wanted = new Map<string, { at: number; isLater: boolean }>();
  /** Hosts whose row is, as far as is known, not what it should be. */
  const dirty = new Set<string>();
  /** Hosts that are here while another broker's route is later: since when, as the audits see it. */
  let contested = new Map<string, number>();
  let auditedAt = performance.now();
  let wake = Promise.withResolvers<void>();
  const firstLoad = Promise.withResolvers<void>();
  let writing: Promise<void> = Promise.resolve();
  let isWithdrawn = false;
  /** Rows of an earlier life are to go first. */
  let isFirst = true;
  let failures = 0;

  const soil = (hostId: string) => {
    dirty.add(hostId);
    wake.resolve();
  };

  /** A row that beats all that are known: brokers' clocks differ, and the one that died last may have been ahead. */
  function routeOf(hostId: string): Route | undefined {
    const entry = wanted.get(hostId);
    if (entry === undefined) return undefined;
    if (!entry.isLater) {
      entry.at = Math.max(entry.at, (table.ofOthers(hostId)?.connectedAt ?? 0) + 1);
      entry.isLater = true;
    }
    return { hostId, brokerId, address, connectedAt: entry.at };
  }

  /** Soils what is in Corrosion and should not be, or is not and should: rows that others took away, or a restored backup. */
  function audit(): void {
    auditedAt = performance.now();
    const missing = new Set(wanted.keys());
    let otherAddress: { hosts: number; address: string } | undefined;
    for (const { hostId, address: there, connectedAt } of table.own()) {
      missing.delete(hostId);
      if (wanted.get(hostId)?.at === connectedAt && there === address) continue;
      if (there !== address) otherAddress = { hosts: (otherAddress?.hosts ?? 0) + 1, address: there };
      soil(hostId);
    }
    if (otherAddress !== undefined)
      log.warn(otherAddress, 'routes of this broker have another address: is its id used twice?');
    for (const hostId of missing) soil(hostId);
    claimContested();
  }

  /**
   * Makes own routes the latest again that have not been it for long. A route that came here only after its host's was
   * written may be of a clock that is ahead, and of a broker that is no more to take it away.
   */
  function claimContested(): void {
    const now = performance.now();
    const still = new Map<string, number>();
    let claimed = 0;
    for (const [hostId, entry] of wanted) {
      const other = table.ofOthers(hostId);
      if (other === undefined || !entry.isLater || other.connectedAt < entry.at) continue;
      const since = contested.get(hostId) ?? now;
      if (now - since < contestedMs) {
        still.set(hostId, since);
        continue;
      }
      entry.isLater = false;
      soil(hostId);
      claimed += 1;
    }
    contested = still;
    if (claimed > 0)
      log.warn(
        { hosts: claimed },
        'hosts with a stream here have a later route of another broker; theirs is written anew, to be the latest',
      );
  }

  async function flush(signal: AbortSignal): Promise<void> {
    const some = [...dirty].slice(0, rowsAtOnce);
    for (const hostId of some) dirty.delete(hostId);
    const statements = some.map((hostId): Statement => {
      const route = routeOf(hostId);
      return route === undefined ? deleteRoute(hostId, brokerId) : upsertRoute(route);
    });
    if (isFirst) statements.unshift(deleteRoutesOf(brokerId));
    try {
      if (statements.length > 0) await corrosion.execute(statements, signal);
      isFirst = false;
    } catch (error) {
      // In doubt, and written again: the transaction may have been done.
      for (const hostId of some) dirty.add(hostId);
      throw error;
    }
  }

  const sleep = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal }).catch(() => {});

  /** Until something is to be written. Compares when it is time to, however much is written meanwhile. */
  async function idle(signal: AbortSignal): Promise<void> {
    if (isFirst) return;
    const leftMs = () => Math.max(0, auditedAt + auditMs - performance.now());
    if (dirty.size === 0) {
      wake = Promise.withResolvers();
      const woken = new AbortController();
      void wake.promise.then(() => woken.abort());
      await sleep(leftMs(), AbortSignal.any([signal, woken.signal]));
    }
    if (leftMs() === 0) audit();
  }

  return {
    connected(hostId, at) {
      wanted.set(hostId, { at, isLater: false });
      soil(hostId);
    },
    disconnected(hostId) {
      wanted.delete(hostId);
      soil(hostId);
    },
    loaded() {
      firstLoad.resolve();
      if (!isFirst) audit();
    },
    async run(signal) {
      const backoff = createBackoff(options.backoff ?? defaultBackoff);
      let isKnownBroken = false;
      await Promise.race([firstLoad.promise, aborted(signal)]);
      while (!signal.aborted && !isWithdrawn) {
        await idle(signal);
        if (signal.aborted || isWithdrawn) break;
        // One after the other while more is to be written; the first waits for what comes with it.
        await sleep(gatherMs, signal);
        if (isWithdrawn) break;
        try {
          writing = flush(signal);
          await writing;
          if (isKnownBroken) log.info({ behind: dirty.size }, 'routes are written again');
          isKnownBroken = false;
          backoff.reset();
        } catch (error) {
          if (signal.aborted || isWithdrawn) break;
          failures += 1;
          const waitMs = backoff.next();
          const line = { why: (error as Error).message, behind: dirty.size, again_in_ms: waitMs };
          log[isKnownBroken ? 'debug' : 'warn'](
            line,
            'routes cannot be written; hosts are served, other brokers do not find them here',
          );
          isKnownBroken = true;
          await sleep(waitMs, signal);
        }
      }
    },
    async withdraw(signal) {
      isWithdrawn = true;
      wake.resolve();
      // What is under way might be done after it.
      await Promise.race([writing.catch(() => {}), aborted(signal)]);
      await corrosion.execute([deleteRoutesOf(brokerId)], signal);
    },
    stats: () => ({ behind: dirty.size, failures }),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
