import { isObject } from '@coold/runtime/unknown-values';
import { buildAcceptLines } from './accept-rules.ts';
import { cablePrefix } from './cable.ts';
import { table } from './packet-rules.ts';

/** Runs a program of the system to its output. @throws Error */
type Run = (program: string, args: readonly string[], input?: string) => Promise<string>;

/**
 * Removes what builds need in a host's network, when coold is uninstalled: the table that filters their packets, the accepting
 * rules of iptables, and the address of their name server.
 *
 * @returns 'in use' while a build has its cable; nothing is removed then, since without the table the build could reach
 * everything
 * @throws Error when a program fails
 */
export async function leaveHost(run: Run): Promise<'had nothing' | 'left' | 'in use'> {
  const links = namesIn(await run('ip', ['-json', 'link', 'show']));
  if (links.some(name => name.startsWith(cablePrefix))) return 'in use';
  const listing = await Promise.all(
    ['FORWARD', 'INPUT'].map(chain => run('iptables', ['--wait=5', '-S', chain])),
  );
  const accepting = buildAcceptLines(listing.join('').split('\n'));
  if (accepting.length > 0) {
    const lines = ['*filter', ...accepting.map(line => line.replace(/^-A/, '-D')), 'COMMIT', ''];
    await run('iptables-restore', ['--noflush', '--wait=5'], lines.join('\n'));
  }
  const isThere = await run('nft', ['list', 'chains', 'inet']).then(text =>
    text.split('\n').includes(`table inet ${table} {`),
  );
  if (isThere) await run('nft', ['delete', 'table', 'inet', table]);
  const addresses = reservedIn(await run('ip', ['-json', '-4', 'address', 'show', 'dev', 'lo']));
  for (const address of addresses) await run('ip', ['address', 'del', `${address}/32`, 'dev', 'lo']);
  return accepting.length > 0 || isThere || addresses.length > 0 ? 'left' : 'had nothing';
}

function namesIn(json: string): string[] {
  return objectsIn(json).flatMap(({ ifname }) => (typeof ifname === 'string' ? [ifname] : []));
}

/** Returns the addresses of 240.0.0.0/4, which only builds use. */
function reservedIn(json: string): string[] {
  const infos = objectsIn(json).flatMap(link => (Array.isArray(link['addr_info']) ? link['addr_info'] : []));
  return infos.flatMap((info: unknown) => {
    const local = isObject(info) ? info['local'] : undefined;
    return typeof local === 'string' && /^2[45]\d\./.test(local) ? [local] : [];
  });
}

function objectsIn(json: string): Record<string, unknown>[] {
  const parsed: unknown = json.trim() === '' ? [] : JSON.parse(json);
  return Array.isArray(parsed) ? parsed.filter(isObject) : [];
}
