import { createHash } from 'node:crypto';
import type { XtTable } from './xt-socket.ts';

// Offsets in struct ipt_entry of linux/netfilter_ipv4/ip_tables.h: its length and its counters.
const entry = { next: 90, counters: 96, bytes: 112 } as const;

/**
 * Returns a digest of the rules of some tables of iptables-legacy, without their counters. Overwrites the counters with
 * zeros.
 *
 * @throws Error when the rules are not as the kernel writes them
 */
export function digestTables(tables: readonly XtTable[]): string {
  const hash = createHash('sha1');
  for (const { table, entries, policies, rules } of tables) {
    for (let at = 0; at < rules.length; ) {
      const length = at + entry.bytes <= rules.length ? rules.readUInt16LE(at + entry.next) : 0;
      if (length < entry.bytes)
        throw new Error(`table ${table} of iptables-legacy has a rule that is cut off`);
      rules.fill(0, at + entry.counters, at + entry.bytes);
      at += length;
    }
    hash.update(JSON.stringify([table, entries, policies, rules.length])).update(rules);
  }
  return hash.digest('base64');
}
