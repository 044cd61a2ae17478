import { setTimeout as delay } from 'node:timers/promises';
import {
  type Corrosion,
  isMissingTable,
  keepSubscription,
  type Statement,
  type SubscriptionOptions,
} from '@coold/corrosion';
import type { Logger, Task } from '@coold/runtime';
import { createSeenHosts } from './seen-hosts.ts';

/** This host's word that it lives is renewed this often, ms (docs/contract.md §5). */
const refreshMs = 5 * 60_000;
/** After a failure it is tried again this soon, ms. */
const retryMs = 30_000;

/** Columns of `host_seen`; `seen_at` is Unix time in ms by the clock of the host that wrote it. */
const columns = ['host_mgmt_ip', 'seen_at'] as const;
const everyHost: Statement = [`SELECT ${columns.join(', ')} FROM host_seen`, []];

/** Says that this host lives, and tells which others do not say so any more. */
export interface HostPresence {
  tasks: { 'host-seen': Task; 'hosts-seen': Task };
  /** Whether a host has said lately that it lives. */
  isSeen(hostMgmtIp: string): boolean;
}

export interface HostPresenceOptions extends Pick<SubscriptionOptions, 'backoff'> {
  corrosion: Corrosion;
  hostMgmtIp: string;
  /** A host is gone after so many ms without a change of its row. */
  ttlMs: number;
  /** Unix time in ms. */
  clock: () => number;
  /** Called whenever other hosts are gone than before. */
  onGone(hosts: ReadonlySet<string>): void;
  log: Logger;
}

export function createHostPresence(options: HostPresenceOptions): HostPresence {
  const { corrosion, hostMgmtIp, ttlMs, clock, onGone, log, ...rest } = options;
  const hosts = createSeenHosts(ttlMs);
  let told = '';
  let timer: NodeJS.Timeout | undefined;

  const judge = () => {
    clearTimeout(timer);
    const gone = hosts.gone();
    const now = [...gone].sort().join(' ');
    if (now !== told) {
      const before = new Set(told.split(' ').filter(host => host !== ''));
      for (const host of gone)
        if (!before.has(host) && host !== hostMgmtIp)
          log.warn(
            { host_mgmt_ip: host },
            'a host of the mesh was not seen for too long: its names are not answered until it is back; ' +
              'mesh.forget removes its rows',
          );
      for (const host of before)
        if (!gone.has(host)) log.info({ host_mgmt_ip: host }, 'a host of the mesh is seen again');
      told = now;
      onGone(gone);
    }
    const next = hosts.nextIn();
    if (next !== undefined) timer = setTimeout(judge, Math.min(next + 1, 2 ** 31 - 1));
  };

  const kept = keepSubscription(corrosion, {
    name: 'host_seen',
    statement: everyHost,
    columns,
    optional: 'without it, names of hosts that are switched off for good stay',
    reader: {
      begin: hosts.begin,
      row: values => seen(values),
      finish() {
        hosts.finish();
        judge();
      },
      change(kind, values) {
        const [host] = values;
        if (kind === 'delete' && typeof host === 'string') hosts.forget(host);
        else seen(values);
        judge();
      },
      connected(isConnected) {
        hosts.connected(isConnected);
        judge();
      },
      resubscribing() {},
    },
    log,
    ...rest,
  });

  /** A row that makes no sense is another host's mistake, and says nothing. */
  function seen([host, seenAt]: unknown[]): void {
    if (typeof host === 'string' && typeof seenAt === 'number') hosts.seen(host, seenAt);
  }

  return {
    isSeen: hosts.isSeen,
    tasks: {
      'hosts-seen': async signal => {
        await kept.run(signal);
        clearTimeout(timer);
      },
      'host-seen': async signal => {
        while (!signal.aborted) {
          let waitMs = refreshMs;
          try {
            await corrosion.execute([refresh(hostMgmtIp, clock())], signal);
          } catch (error) {
            // A table that is missing is said by the subscription.
            waitMs = isMissingTable(error) ? refreshMs : retryMs;
            if (!signal.aborted)
              log.debug({ err: error }, "this host's row of host_seen cannot be written; trying again");
          }
          await delay(waitMs, undefined, { signal }).catch(() => {});
        }
      },
    },
  };
}

function refresh(hostMgmtIp: string, nowMs: number): Statement {
  return [
    'INSERT INTO host_seen (host_mgmt_ip, seen_at) VALUES (?, ?) ' +
      'ON CONFLICT (host_mgmt_ip) DO UPDATE SET seen_at = excluded.seen_at',
    [hostMgmtIp, Math.floor(nowMs)],
  ];
}
