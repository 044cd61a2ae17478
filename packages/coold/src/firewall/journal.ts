import { readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sweepStaged, syncFolder, writeFileAtomically } from '@coold/runtime';
import type { Change } from './change.ts';
import { isObject } from './nft-rule.ts';
import { readRule } from './rule.ts';

/** What an earlier process left unfinished. */
export interface Leftover {
  /** `complete`: nobody was answered yet. `undo`: its callers were told, or were to be told, that it failed. */
  direction: 'complete' | 'undo';
  changes: Change[];
}

/**
 * The one mutation that is under way, on the disk before the kernel sees any of it and gone before its callers are answered
 * (docs/architecture.md, the firewall flow). That it is to be undone is said by its name: a rename needs no room on a full disk.
 */
export interface Journal {
  begin(changes: readonly Change[]): Promise<void>;
  /** From now on a restart takes it back instead of completing it. */
  giveUp(): Promise<void>;
  /** It is over. What it did to the disk lasts without this removal lasting: completing it again changes nothing. */
  finish(): Promise<void>;
  /** It is over and has failed; the removal lasts, since completing it now would open what was refused. */
  forget(): Promise<void>;
  /** @throws Error when there is one that cannot be read */
  read(): Promise<Leftover | undefined>;
  /** Puts one that cannot be read aside, under the name that is returned. */
  putAside(): Promise<string>;
}

/** @param path `allow.pending`, in the folder of the snapshots */
export function createJournal(path: string): Journal {
  const undoPath = `${path}.undo`;
  const folder = dirname(path);
  const remove = () => Promise.all([rm(path, { force: true }), rm(undoPath, { force: true })]);
  return {
    begin: changes => writeFileAtomically(path, renderJournal(changes), 0o600),
    async giveUp() {
      await rename(path, undoPath).catch(ignoreAbsent);
      await syncFolder(folder);
    },
    async finish() {
      await remove();
    },
    async forget() {
      await remove();
      await syncFolder(folder);
    },
    async read() {
      await Promise.all([sweepStaged(path), sweepStaged(undoPath)]);
      // Both at once is a crash in between nothing: undoing is what was decided last.
      for (const [from, direction] of [[undoPath, 'undo'] as const, [path, 'complete'] as const]) {
        const text = await readFile(from, 'utf8').catch(ignoreAbsent);
        if (text !== undefined) return { direction, changes: readJournal(text) };
      }
      return undefined;
    },
    async putAside() {
      const aside = `${path}.damaged`;
      await rename(undoPath, aside).catch(ignoreAbsent);
      await rename(path, aside).catch(ignoreAbsent);
      await syncFolder(folder);
      return aside;
    },
  };
}

export function renderJournal(changes: readonly Change[]): string {
  const rows = changes.map(
    ({ kind, rule: { id, namespace, src, dst, proto, port }, iptables, nft, guard, file }) => {
      const places =
        iptables && nft && guard && file
          ? 'ingf'
          : `${iptables ? 'i' : ''}${nft ? 'n' : ''}${guard ? 'g' : ''}${file ? 'f' : ''}`;
      return [kind, places, id, namespace, src, dst, proto, port];
    },
  );
  return `${JSON.stringify({ version: 1, changes: rows })}\n`;
}

/** @throws Error naming what does not fit */
export function readJournal(text: string): Change[] {
  const value: unknown = JSON.parse(text);
  if (!isObject(value) || value['version'] !== 1 || !Array.isArray(value['changes']))
    throw new Error('it is not a journal of version 1');
  return value['changes'].map((row: unknown, index) => {
    if (!Array.isArray(row)) throw new Error(`changes[${index}] is not a row`);
    const [kind, places, id, namespace, src, dst, proto, port] = row as unknown[];
    if (kind !== 'add' && kind !== 'remove') throw new Error(`changes[${index}] neither adds nor removes`);
    if (typeof places !== 'string') throw new Error(`changes[${index}] names no places`);
    const rule = readRule(
      {
        ...{ id: String(id), namespace: String(namespace), src: String(src), dst: String(dst) },
        ...{ proto: String(proto), port: port === 0 ? undefined : Number(port) },
      },
      `changes[${index}]`,
    );
    const has = (place: string) => places.includes(place);
    return { kind, rule, iptables: has('i'), nft: has('n'), guard: has('g'), file: has('f') };
  });
}

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
