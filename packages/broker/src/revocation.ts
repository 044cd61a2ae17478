import { readFile, stat } from 'node:fs/promises';
import { followFiles, type Hangups, type Logger } from '@coold/runtime';
import { type DenyList, emptyDenyList, parseDenyList } from './deny-list.ts';

/** The deny list as it is now. */
export interface Revocation {
  isRevoked: DenyList['has'];
}

export interface RevocationOptions {
  /** BROKER_REVOKED_FILE; undefined: nobody is revoked. */
  path: string | undefined;
  /** Called after the list has changed. */
  onChange: () => void;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
}

/** A hundred thousand entries, and more. */
const maxFileBytes = 16 * 1024 * 1024;

/**
 * Keeps the deny list as the file has it: read again when it changes and on SIGHUP. A file that is broken or gone leaves
 * the last good list in force, and is an error in the log.
 *
 * @throws Error naming variable, file and line when the file cannot be used at start
 */
export async function keepRevocation(options: RevocationOptions): Promise<Revocation> {
  const { path, onChange, hangups, log, signal } = options;
  if (path === undefined) return { isRevoked: emptyDenyList.has };
  let list = await followFiles({
    what: 'deny list',
    paths: [path],
    read: () => readDenyList(path),
    use(next) {
      list = next;
      onChange();
    },
    ...{ hangups, log, signal },
  });
  log.info({ path, entries: list.size }, 'deny list read');
  return { isRevoked: token => list.has(token) };
}

async function readDenyList(path: string): Promise<DenyList> {
  try {
    if ((await stat(path)).size > maxFileBytes) throw new Error(`is larger than ${maxFileBytes} bytes`);
    return parseDenyList(await readFile(path, 'utf8'));
  } catch (error) {
    throw new Error(`BROKER_REVOKED_FILE=${path}: ${(error as Error).message}`, { cause: error });
  }
}
