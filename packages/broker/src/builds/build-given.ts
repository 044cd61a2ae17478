import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Logger } from '@coold/runtime';

/**
 * Remembers when each build was last given to a host. When two hosts have the same id, the build of the earlier one does
 * not count.
 */
export interface GivenBuilds {
  /** @param givenAt of the nonce, in ms since 1970 */
  note(requestId: string, givenAt: number): void;
  /** Returns ms since 1970; 0 when unknown. */
  latest(requestId: string): number;
}

/**
 * The number of builds remembered, newest first: a host keeps no result for longer than a day, and no broker gives out
 * more builds in a day.
 */
const maxKept = 10_000;

/**
 * Keeps up to `max` entries in memory.
 *
 * @param write is called with each entry, and with all entries when the file has grown far beyond them
 */
export function rememberGiven(
  known: Iterable<readonly [requestId: string, givenAt: number]> = [],
  write: (notes: readonly (readonly [string, number])[], isAll: boolean) => void = () => {},
  max = maxKept,
): GivenBuilds {
  const given = new Map(known);
  let written = given.size;
  return {
    note(requestId, givenAt) {
      given.delete(requestId);
      given.set(requestId, givenAt);
      const [oldest] = given.keys();
      if (given.size > max && oldest !== undefined) given.delete(oldest);
      written += 1;
      const isAll = written > 2 * max;
      if (isAll) written = given.size;
      write(isAll ? [...given] : [[requestId, givenAt]], isAll);
    },
    latest: requestId => given.get(requestId) ?? 0,
  };
}

/**
 * Keeps them in a file, so that a restarted broker knows them. An unusable file is logged; entries then last as long as
 * this process.
 */
export async function loadGivenBuilds(path: string, log: Logger): Promise<GivenBuilds> {
  let isSaid = false;
  const complain = (error: unknown) => {
    if (!isSaid) log.warn({ err: error, path }, 'when builds were given to hosts cannot be kept');
    isSaid = true;
  };
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') complain(error);
    return '';
  });
  const known = text.split('\n').flatMap(line => {
    const [, time = '', requestId] = /^([0-9a-z]{1,10}) (\S{1,128})$/.exec(line) ?? [];
    return requestId === undefined ? [] : [[requestId, Number.parseInt(time, 36)] as const];
  });
  // A line cut off by a power loss must not merge with the next one.
  let before = text === '' || text.endsWith('\n') ? '' : '\n';
  return rememberGiven(known.slice(-maxKept), (notes, isAll) => {
    const lines = notes.map(([requestId, givenAt]) => `${givenAt.toString(36)} ${requestId}\n`).join('');
    try {
      if (!isAll) {
        appendFileSync(path, before + lines, { mode: 0o600 });
        before = '';
      } else {
        writeFileSync(`${path}.new`, lines, { mode: 0o600 });
        renameSync(`${path}.new`, path);
      }
    } catch (error) {
      complain(error);
    }
  });
}
