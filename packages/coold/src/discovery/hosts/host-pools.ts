import {
  type Corrosion,
  type KeptSubscription,
  keepSubscription,
  type Statement,
  type SubscriptionOptions,
  type SubscriptionReader,
} from '@coold/corrosion';
import type { Logger, Task } from '@coold/runtime';
import { type Cidr, overlap } from '../../firewall/rule/cidr.ts';
import { keepHostRow } from './keep-host-row.ts';
import { networkPool } from './network-pool.ts';

/** The interval of writes of this host's row, in ms. A write changes nothing while the row is right. */
const refreshMs = 5 * 60_000;
/** The pause after a failed write, in ms. */
const retryMs = 30_000;

/** Columns of `host_pools`. */
const columns = ['host_mgmt_ip', 'network_pool'] as const;
const everyPool: Statement = [`SELECT ${columns.join(', ')} FROM host_pools`, []];

/** A host's slice: its COOLD_NETWORK_POOL. */
export interface HostPool {
  readonly hostMgmtIp: string;
  readonly pool: Cidr;
}

export interface HostPoolsStats {
  /** This host's own slice; undefined when its app networks are local. */
  own: Cidr | undefined;
  /** Slices of other hosts that overlap it. */
  overlapping: readonly HostPool[];
}

export interface HostPoolsOptions extends Pick<SubscriptionOptions, 'backoff'> {
  corrosion: Corrosion;
  hostMgmtIp: string;
  /** This host's own slice. */
  pool: Cidr | undefined;
  /** Unix time in ms. */
  clock: () => number;
  log: Logger;
}

/** Publishes this host's slice for app networks, and follows those of other hosts (docs/contract.md §5). */
export class HostPools {
  readonly #options: HostPoolsOptions;
  readonly #subscription: KeptSubscription;
  #pools = new Map<string, Cidr>();
  /** The slices of a load that is not complete yet; undefined when no load is in progress. */
  #loading: Map<string, Cidr> | undefined;
  /** The overlapping slices that were logged, by host. */
  #logged: ReadonlyMap<string, Cidr> = new Map();
  readonly tasks: { 'host-pool': Task; 'host-pools': Task } = {
    'host-pools': signal => this.#subscription.run(signal),
    'host-pool': signal => this.#keepRow(signal),
  };

  constructor(options: HostPoolsOptions) {
    const { corrosion, log, backoff } = options;
    this.#options = options;
    this.#subscription = keepSubscription(corrosion, {
      name: 'host_pools',
      statement: everyPool,
      columns,
      optional: 'without it, two hosts whose COOLD_NETWORK_POOL overlap are not noticed',
      reader: this.#reader(),
      log,
      ...(backoff === undefined ? {} : { backoff }),
    });
  }

  /** Returns the slices of other hosts, by host. A host without a slice has no row, as has one whose coold writes none. */
  others(): readonly HostPool[] {
    return [...this.#pools]
      .map(([hostMgmtIp, pool]) => ({ hostMgmtIp, pool }))
      .sort((a, b) => (a.hostMgmtIp < b.hostMgmtIp ? -1 : 1));
  }

  stats(): HostPoolsStats {
    const own = this.#options.pool;
    const overlapping = own === undefined ? [] : this.others().filter(({ pool }) => overlap(own, pool));
    return { own, overlapping };
  }

  #reader(): SubscriptionReader {
    return {
      begin: () => {
        this.#loading = new Map();
      },
      row: values => this.#put(this.#loading ?? this.#pools, values),
      finish: () => {
        this.#pools = this.#loading ?? new Map();
        this.#loading = undefined;
        this.#logOverlaps();
      },
      change: (kind, values) => {
        const [host] = values;
        if (kind !== 'delete') this.#put(this.#pools, values);
        else if (typeof host === 'string') this.#pools.delete(host);
        this.#logOverlaps();
      },
      connected() {},
      resubscribing() {},
    };
  }

  /** Records another host's row. An invalid slice counts as none. */
  #put(into: Map<string, Cidr>, [host, text]: unknown[]): void {
    if (typeof host !== 'string' || host === this.#options.hostMgmtIp) return;
    const pool = typeof text === 'string' ? networkPool.parse(text) : undefined;
    if (pool === undefined) into.delete(host);
    else into.set(host, pool);
  }

  #logOverlaps(): void {
    const { log } = this.#options;
    const { own, overlapping } = this.stats();
    const now = new Map(overlapping.map(({ hostMgmtIp, pool }) => [hostMgmtIp, pool]));
    for (const [host, pool] of now)
      if (this.#logged.get(host) !== pool)
        log.error(
          { host_mgmt_ip: host, pool, own },
          'COOLD_NETWORK_POOL of another host overlaps with the one of this host: give each host a slice of its own; ' +
            'no network is made where they overlap',
        );
    for (const host of this.#logged.keys())
      if (!now.has(host))
        log.info({ host_mgmt_ip: host }, 'COOLD_NETWORK_POOL of a host overlaps no more with ours');
    this.#logged = now;
  }

  #keepRow(signal: AbortSignal): Promise<void> {
    const { corrosion, hostMgmtIp, pool, clock, log } = this.#options;
    const write = (within: AbortSignal) => corrosion.execute([publish(hostMgmtIp, pool, clock())], within);
    return keepHostRow({ table: 'host_pools', write, everyMs: refreshMs, retryMs, log }, signal);
  }
}

/** Returns the statement for this host's row. It changes nothing where the row is right already. @param nowMs Unix time in ms */
function publish(hostMgmtIp: string, pool: Cidr | undefined, nowMs: number): Statement {
  if (pool === undefined) return ['DELETE FROM host_pools WHERE host_mgmt_ip = ?', [hostMgmtIp]];
  return [
    'INSERT INTO host_pools (host_mgmt_ip, network_pool, updated_at) VALUES (?, ?, ?) ON CONFLICT (host_mgmt_ip) DO ' +
      'UPDATE SET network_pool = excluded.network_pool, updated_at = excluded.updated_at ' +
      'WHERE network_pool <> excluded.network_pool',
    [hostMgmtIp, pool, Math.floor(nowMs)],
  ];
}
