import type { Logger } from '@coold/runtime';
import { loadAnnouncements } from '../netlink/announcements.ts';
import { readLegacyTables } from '../netlink/legacy-tables.ts';
import { loadNetlink } from '../netlink/netlink-socket.ts';
import { loadXtTables } from '../netlink/xt-socket.ts';
import type { FilterReaders } from './explain-flow.ts';
import { WatchedIndex } from './rule-index.ts';

/** Readers of the kernel's packet filter, and the task that keeps them quick. */
export interface LoadedReaders extends FilterReaders {
  index: WatchedIndex;
}

/**
 * @returns undefined when this Node cannot call C (docs/decisions/node-ffi.md)
 *
 * @param chainName the allow chain in iptables
 */
export function loadReaders(chainName: string, log: Logger): LoadedReaders | undefined {
  const [open, openAnnouncements, readTable] = [loadNetlink(), loadAnnouncements(), loadXtTables()];
  if (open === undefined || openAnnouncements === undefined || readTable === undefined) return undefined;
  const index = new WatchedIndex(open, openAnnouncements, chainName, err =>
    log.warn({ err }, 'where allow rules are in the kernel is unknown; explaining a flow lists all of them'),
  );
  return { open, legacy: () => readLegacyTables(readTable), index, chainName };
}
