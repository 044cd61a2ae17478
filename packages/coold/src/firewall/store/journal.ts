import { readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sweepStaged, syncFolder, writeFileAtomically } from '@coold/runtime';
import { isObject } from '@coold/runtime/unknown-values';
import type { Change } from '../rule/change.ts';
import { readRule } from '../rule/rule.ts';

/** A change that an earlier process left unfinished. */
export interface Leftover {
  /** `complete`: no caller was answered yet. `undo`: the callers were told, or were about to be told, that it failed. */
  direction: 'complete' | 'undo';
  changes: Change[];
}

/**
 * The journal of the one change in progress. It is on the disk before the kernel is changed and gone before callers are
 * answered (docs/architecture.md, the firewall flow). The file's name says whether the change is to be undone, because
 * a rename needs no space on a full disk.
 */
export interface Journal {
  begin(changes: readonly Change[]): Promise<void>;
  /** From now on a restart undoes the change instead of completing it. */
  giveUp(): Promise<void>;
  /**
   * The change is over. The removal of the file need not be durable: completing the change again would have no effect.
   */
  finish(): Promise<void>;
  /** The change has failed and is over. The removal is durable, because completing it now would open what was refused. */
  forget(): Promise<void>;
  /** @throws Error when there is a journal that cannot be read */
  read(): Promise<Leftover | undefined>;
  /** Renames an unreadable journal and returns its new name. */
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
      // Both files exist after a crash between two steps. The decision to undo came last.
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

/** @throws Error naming what is invalid */
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
        id: String(id),
        namespace: String(namespace),
        src: String(src),
        dst: String(dst),
        proto: String(proto),
        port: port === 0 ? undefined : Number(port),
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
