/**
 * Which hosts of the mesh are gone: those whose row of `host_seen` has not changed for too long (docs/contract.md §6).
 * Time is measured with this host's own clock from the arrival of a change, and only while changes are reported: a host
 * that is cut off from Corrosion declares no host gone.
 */
export interface SeenHosts {
  /** A load begins: all rows follow. */
  begin(): void;
  /** Records a row of a load or a change. */
  seen(hostMgmtIp: string, seenAt: number): void;
  /** The load is complete: hosts that it did not name have no row any more. */
  finish(): void;
  /** The row was removed, so nothing tells any more when the host was seen. */
  forget(hostMgmtIp: string): void;
  /** Whether changes are reported as they happen. */
  connected(isConnected: boolean): void;
  /** Returns the hosts whose row is too old. */
  gone(): ReadonlySet<string>;
  /** Whether a host has a row that is recent enough. */
  isSeen(hostMgmtIp: string): boolean;
  /** Returns the time in a host's row; undefined when it has none. */
  lastWord(hostMgmtIp: string): number | undefined;
  /** Returns the ms until another host may be gone; undefined while none can become so. */
  nextIn(): number | undefined;
}

/** @param ttlMs how long a row may stay unchanged @param now monotonic, in ms */
export function createSeenHosts(ttlMs: number, now: () => number = () => performance.now()): SeenHosts {
  let rows = new Map<string, { seenAt: number; changedAt: number }>();
  let aside: Map<string, number> | undefined;
  /** The time during which changes were reported, in ms: completed periods, and the start of the current one. */
  let liveBefore = 0;
  let liveSince: number | undefined;
  const liveNow = () => liveBefore + (liveSince === undefined ? 0 : now() - liveSince);

  const put = (into: typeof rows, host: string, seenAt: number) => {
    const before = rows.get(host);
    // The same row again is no news: a reload must not make a dead host look alive.
    into.set(host, before?.seenAt === seenAt ? before : { seenAt, changedAt: liveNow() });
  };

  const isOld = ({ changedAt }: { changedAt: number }) => liveNow() - changedAt >= ttlMs;

  return {
    begin() {
      aside = new Map();
    },
    seen(host, seenAt) {
      if (aside === undefined) put(rows, host, seenAt);
      else aside.set(host, seenAt);
    },
    finish() {
      const loaded: typeof rows = new Map();
      for (const [host, seenAt] of aside ?? []) put(loaded, host, seenAt);
      rows = loaded;
      aside = undefined;
    },
    forget(host) {
      rows.delete(host);
      aside?.delete(host);
    },
    connected(isConnected) {
      if (isConnected === (liveSince !== undefined)) return;
      if (isConnected) liveSince = now();
      else {
        liveBefore = liveNow();
        liveSince = undefined;
      }
    },
    gone: () => new Set([...rows].filter(([, row]) => isOld(row)).map(([host]) => host)),
    isSeen(host) {
      const row = rows.get(host);
      return row !== undefined && !isOld(row);
    },
    lastWord: host => rows.get(host)?.seenAt,
    nextIn() {
      if (liveSince === undefined) return undefined;
      const at = liveNow();
      const left = [...rows.values()]
        .filter(row => !isOld(row))
        .map(({ changedAt }) => changedAt + ttlMs - at);
      return left.length === 0 ? undefined : Math.min(...left);
    },
  };
}
