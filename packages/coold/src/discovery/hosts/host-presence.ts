import {
  type Corrosion,
  type KeptSubscription,
  keepSubscription,
  type Statement,
  type SubscriptionOptions,
  type SubscriptionReader,
} from '@coold/corrosion';
import { createChangeSignal, type Logger, type Task } from '@coold/runtime';
import { keepHostRow } from './keep-host-row.ts';
import { createSeenHosts, type SeenHosts } from './seen-hosts.ts';

/** The longest interval of writes of this host's row, in ms; shorter where `ttlMs` is short (docs/contract.md §5). */
const longestRefreshMs = 5 * 60_000;
/** The pause after a failed write, in ms. */
const longestRetryMs = 30_000;
/** How long a busy agent may take to report its own host's row, in ms. */
const longestEchoMs = 10_000;

/** Why the subscription restarts when this host's row does not come back. */
const unheardWhy = "this host's own row was written, but not reported back";

/** Columns of `host_seen`; `seen_at` is Unix time in ms by the clock of the host that wrote it. */
const columns = ['host_mgmt_ip', 'seen_at'] as const;
const everyHost: Statement = [`SELECT ${columns.join(', ')} FROM host_seen`, []];

export interface HostPresenceOptions extends Pick<SubscriptionOptions, 'backoff'> {
  corrosion: Corrosion;
  hostMgmtIp: string;
  /** How long a host's row may stay unchanged, in ms, until the host is gone. */
  ttlMs: number;
  /** Unix time in ms. */
  clock: () => number;
  /** Called each time that the set of gone hosts changes. */
  onGone(hosts: ReadonlySet<string>): void;
  log: Logger;
}

/** Publishes this host's heartbeat, and tells which other hosts have stopped theirs. */
export class HostPresence {
  readonly #options: HostPresenceOptions;
  readonly #hosts: SeenHosts;
  readonly #subscription: KeptSubscription;
  readonly #echo: Echo;
  readonly #refreshMs: number;
  /** Announced to have this host's row written at once. */
  readonly #writeNow = createChangeSignal();
  /** The gone hosts that `onGone` was last called with. */
  #gone: ReadonlySet<string> = new Set();
  /** Why the subscription ended since its last complete load; undefined when it did not end. */
  #broken: string | undefined;
  /** The time of the next judgement, when another host may be gone. */
  #timer: NodeJS.Timeout | undefined;
  readonly tasks: { 'host-seen': Task; 'hosts-seen': Task } = {
    'hosts-seen': signal => this.#follow(signal),
    'host-seen': signal => this.#keepRow(signal),
  };

  constructor(options: HostPresenceOptions) {
    const { corrosion, ttlMs, log, backoff } = options;
    this.#options = options;
    this.#hosts = createSeenHosts(ttlMs);
    this.#refreshMs = Math.min(longestRefreshMs, ttlMs / 4);
    this.#subscription = keepSubscription(corrosion, {
      name: 'host_seen',
      statement: everyHost,
      columns,
      optional: 'without it, names of hosts that are switched off for good stay',
      reader: this.#reader(),
      log,
      ...(backoff === undefined ? {} : { backoff }),
    });
    this.#echo = new Echo(Math.min(longestEchoMs, this.#refreshMs), () =>
      this.#subscription.restart(unheardWhy),
    );
  }

  /** Whether a host has published a heartbeat recently. */
  isSeen(hostMgmtIp: string): boolean {
    return this.#hosts.isSeen(hostMgmtIp);
  }

  /**
   * Returns the time in a host's row as last reported, Unix time in ms by that host's clock; undefined when it has no
   * row.
   */
  lastWord(hostMgmtIp: string): number | undefined {
    return this.#hosts.lastWord(hostMgmtIp);
  }

  #reader(): SubscriptionReader {
    const hosts = this.#hosts;
    return {
      begin: () => hosts.begin(),
      row: values => this.#seen(values),
      finish: () => {
        hosts.finish();
        this.#judge();
      },
      change: (kind, values) => {
        const [host] = values;
        if (kind === 'delete' && typeof host === 'string') hosts.forget(host);
        else this.#seen(values);
        this.#judge();
      },
      connected: isConnected => {
        hosts.connected(isConnected);
        this.#judge();
        if (!isConnected) return;
        // An agent that was away may have lost the row with its whole database. An agent that only reports nothing has
        // the row.
        if (this.#broken !== undefined && this.#broken !== unheardWhy) this.#writeNow.announce();
        this.#broken = undefined;
      },
      resubscribing: why => {
        this.#broken = why;
      },
    };
  }

  /** Records a row. An invalid row is ignored. */
  #seen([host, seenAt]: unknown[]): void {
    if (host === this.#options.hostMgmtIp) this.#echo.heard(seenAt);
    if (typeof host === 'string' && typeof seenAt === 'number') this.#hosts.seen(host, seenAt);
  }

  /** Reports and logs which hosts are gone, and schedules the next judgement. */
  #judge(): void {
    const { hostMgmtIp, onGone, log } = this.#options;
    clearTimeout(this.#timer);
    const before = this.#gone;
    const gone = this.#hosts.gone();
    const left = [...gone].filter(host => !before.has(host));
    const back = [...before].filter(host => !gone.has(host));
    for (const host of left)
      if (host !== hostMgmtIp)
        log.warn(
          { host_mgmt_ip: host },
          'a host of the mesh was not seen for too long: its names are not answered until it is back; ' +
            'mesh.forget removes its rows',
        );
    for (const host of back) log.info({ host_mgmt_ip: host }, 'a host of the mesh is seen again');
    this.#gone = gone;
    if (left.length + back.length > 0) onGone(gone);
    const next = this.#hosts.nextIn();
    if (next !== undefined) this.#timer = setTimeout(() => this.#judge(), Math.min(next + 1, 2 ** 31 - 1));
  }

  async #follow(signal: AbortSignal): Promise<void> {
    await this.#subscription.run(signal);
    clearTimeout(this.#timer);
    this.#echo.end();
  }

  #keepRow(signal: AbortSignal): Promise<void> {
    const { corrosion, hostMgmtIp, clock, log } = this.#options;
    const everyMs = this.#refreshMs;
    const write = async (within: AbortSignal) => {
      const word = Math.floor(clock());
      await corrosion.execute([refresh(hostMgmtIp, word)], within);
      if (!within.aborted) this.#echo.await(word);
    };
    const retryMs = Math.min(longestRetryMs, everyMs / 2);
    return keepHostRow({ table: 'host_seen', write, everyMs, retryMs, now: this.#writeNow, log }, signal);
  }
}

/**
 * Checks that this host's own row comes back through the subscription. When it does not, the agent answers but reports
 * no changes, and other hosts' silence would not prove that they are gone.
 */
class Echo {
  readonly #withinMs: number;
  readonly #onMissing: () => void;
  #heard: unknown;
  #timer: NodeJS.Timeout | undefined;

  constructor(withinMs: number, onMissing: () => void) {
    this.#withinMs = withinMs;
    this.#onMissing = onMissing;
  }

  /** Waits for a heartbeat that was written. It may come back before the agent has answered the write. */
  await(word: number): void {
    clearTimeout(this.#timer);
    if (this.#heard !== word) this.#timer = setTimeout(this.#onMissing, this.#withinMs);
  }

  heard(word: unknown): void {
    this.#heard = word;
    clearTimeout(this.#timer);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function refresh(hostMgmtIp: string, word: number): Statement {
  return [
    'INSERT INTO host_seen (host_mgmt_ip, seen_at) VALUES (?, ?) ' +
      'ON CONFLICT (host_mgmt_ip) DO UPDATE SET seen_at = excluded.seen_at',
    [hostMgmtIp, word],
  ];
}
