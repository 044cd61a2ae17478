import { readKernelFile } from './read-kernel-file.ts';
import type { ReadXtTable, XtTable } from './xt-socket.ts';

/**
 * Reads the iptables-legacy tables of this network namespace; empty when none was ever used.
 *
 * @throws Error when one cannot be read
 */
export async function readLegacyTables(read: ReadXtTable): Promise<XtTable[]> {
  const names = await readKernelFile('/proc/net/ip_tables_names');
  return names
    .split('\n')
    .filter(name => /^[a-z]{1,16}$/.test(name))
    .map(read);
}
