import type { Statement } from '@coold/corrosion';
import type { Logger } from '@coold/runtime';
import { deleteRoute, type Route, upsertRoute } from './route.ts';
import type { RouteTable } from './route-table.ts';

export interface OwnRoutesOptions {
  table: Pick<RouteTable, 'ofOthers' | 'own'>;
  brokerId: string;
  /** Where the others dial this broker, `host:port`. */
  address: string;
  /** How long another broker's route may be later than that of a host whose stream is here, in ms. */
  contestedMs: number;
  /** Called when a row has to be written. */
  onDirty(): void;
  log: Logger;
}

/** The row that a connected host should have. */
interface WantedRoute {
  /** When the host connected, or later, in ms since 1970. */
  at: number;
  /** Whether `at` is already later than all other routes of the host that were known. */
  isLater: boolean;
}

/** Rows that are written in one transaction. */
export interface DirtyRows {
  hosts: readonly string[];
  statements: Statement[];
}

/** The rows that this broker should have in Corrosion: one for each connected host, and which of them have to be written. */
export class OwnRoutes {
  readonly #options: OwnRoutesOptions;
  readonly #wanted = new Map<string, WantedRoute>();
  /** Hosts whose row is, as far as is known, not what it should be. */
  readonly #dirty = new Set<string>();
  /** Connected hosts of which another broker's route is later, with the audit that saw it first, in ms of the monotonic clock. */
  #contested = new Map<string, number>();

  constructor(options: OwnRoutesOptions) {
    this.#options = options;
  }

  /** Returns how many rows have to be written. */
  get dirtyCount(): number {
    return this.#dirty.size;
  }

  /** @param at when the host connected, in ms since 1970 */
  connected(hostId: string, at: number): void {
    this.#wanted.set(hostId, { at, isLater: false });
    this.#markDirty(hostId);
  }

  disconnected(hostId: string): void {
    this.#wanted.delete(hostId);
    this.#markDirty(hostId);
  }

  /** Marks all rows of connected hosts dirty. */
  markAllDirty(): void {
    for (const hostId of this.#wanted.keys()) this.#markDirty(hostId);
  }

  /** Takes at most `max` dirty rows. They count as clean now: put them back if they could not be written. */
  takeDirty(max: number): DirtyRows {
    const hosts = [...this.#dirty].slice(0, max);
    for (const hostId of hosts) this.#dirty.delete(hostId);
    const statements = hosts.map((hostId): Statement => {
      const route = this.#routeOf(hostId);
      return route === undefined ? deleteRoute(hostId, this.#options.brokerId) : upsertRoute(route);
    });
    return { hosts, statements };
  }

  putBack({ hosts }: DirtyRows): void {
    for (const hostId of hosts) this.#dirty.add(hostId);
  }

  /**
   * Compares the rows in Corrosion with what they should be, and marks those that differ dirty: others may have removed rows,
   * and a backup may have been restored.
   */
  audit(): void {
    const { table, address, log } = this.#options;
    const missing = new Set(this.#wanted.keys());
    let otherAddress: { hosts: number; address: string } | undefined;
    for (const { hostId, address: there, connectedAt } of table.own()) {
      missing.delete(hostId);
      if (this.#wanted.get(hostId)?.at === connectedAt && there === address) continue;
      if (there !== address) otherAddress = { hosts: (otherAddress?.hosts ?? 0) + 1, address: there };
      this.#markDirty(hostId);
    }
    if (otherAddress !== undefined)
      log.warn(otherAddress, 'routes of this broker have another address: is its id used twice?');
    for (const hostId of missing) this.#markDirty(hostId);
    this.#claimContested();
  }

  /**
   * Makes own routes the latest again where another broker's has been later for long. A route that was received only after the
   * host's own was written may come from a clock that is ahead, and from a broker that no longer exists to remove it.
   */
  #claimContested(): void {
    const { table, contestedMs, log } = this.#options;
    const now = performance.now();
    const still = new Map<string, number>();
    let claimed = 0;
    for (const [hostId, wanted] of this.#wanted) {
      const other = table.ofOthers(hostId);
      if (other === undefined || !wanted.isLater || other.connectedAt < wanted.at) continue;
      const since = this.#contested.get(hostId) ?? now;
      if (now - since < contestedMs) {
        still.set(hostId, since);
        continue;
      }
      wanted.isLater = false;
      this.#markDirty(hostId);
      claimed += 1;
    }
    this.#contested = still;
    if (claimed > 0)
      log.warn(
        { hosts: claimed },
        'hosts that are connected here have a newer route of another broker; writing our route again so that it wins',
      );
  }

  /**
   * Returns the row that a host should have, undefined where it is not connected. The row is later than all others that are
   * known: brokers' clocks differ, and the broker that had the host before may have been ahead.
   */
  #routeOf(hostId: string): Route | undefined {
    const wanted = this.#wanted.get(hostId);
    if (wanted === undefined) return undefined;
    const { table, brokerId, address } = this.#options;
    if (!wanted.isLater) {
      wanted.at = Math.max(wanted.at, (table.ofOthers(hostId)?.connectedAt ?? 0) + 1);
      wanted.isLater = true;
    }
    return { hostId, brokerId, address, connectedAt: wanted.at };
  }

  #markDirty(hostId: string): void {
    this.#dirty.add(hostId);
    this.#options.onDirty();
  }
}
