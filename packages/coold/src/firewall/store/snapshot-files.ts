import { rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readRegularFile, type StagedFile, stageFile, sweepStaged, syncFolder } from '@coold/runtime';
import type { Rule } from '../rule/rule.ts';
import { readIptablesSnapshot, readNftSnapshot, SnapshotError } from './snapshot.ts';

/** The rules of both files. The routed plane's file counts; the other is used when that one cannot be read. */
export interface FiledRules {
  /** Undefined when no file can be read. */
  rules: Rule[] | undefined;
  /** What is wrong with one of them, in words; also when they name different rules. */
  problem: string | undefined;
}

/** New content of both files, on the disk under temporary names. */
export interface StagedSnapshot {
  /** Replaces both files durably. A file that could not be read is kept beside them as `.damaged`. */
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/** Enough for hundreds of thousands of rules. */
const maxBytes = 256 * 1024 * 1024;

/** The two snapshots on the disk (docs/contract.md §4), mode 0600. */
export interface SnapshotFiles {
  read(): Promise<FiledRules>;
  stage(text: { iptables: Iterable<string>; nft: Iterable<string> }): Promise<StagedSnapshot>;
  /** Whether another program has replaced or changed one since it was last read or written. */
  changedOutside(): Promise<boolean>;
}

export function createSnapshotFiles(paths: { iptables: string; nft: string }, chain: string): SnapshotFiles {
  const all = [paths.iptables, paths.nft];
  let known: string | undefined;
  const damaged = new Set<string>();

  async function readOne(path: string, parse: (text: string) => Rule[]) {
    damaged.delete(path);
    try {
      const text = await readRegularFile(path, { maxBytes });
      return { rules: parse(text), problem: undefined };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        return { rules: undefined, problem: `${path}: is not there` };
      if (!(error instanceof SnapshotError)) throw error;
      damaged.add(path);
      return { rules: undefined, problem: `${path}: ${error.message}` };
    }
  }

  return {
    async read() {
      await Promise.all(all.map(sweepStaged));
      known = await identify(all);
      const [routed, bridged] = await Promise.all([
        readOne(paths.iptables, text => readIptablesSnapshot(text, chain)),
        readOne(paths.nft, readNftSnapshot),
      ]);
      if (routed.rules === undefined && bridged.rules === undefined && damaged.size === 0)
        return { rules: undefined, problem: undefined };
      const problem =
        routed.problem ??
        bridged.problem ??
        (sameIds(routed.rules ?? [], bridged.rules ?? [])
          ? undefined
          : `${paths.iptables} and ${paths.nft} name different rules; the former counts`);
      return { rules: routed.rules ?? bridged.rules, problem };
    },
    async stage(text) {
      const [routed, bridged] = await settleBoth(
        stageFile(paths.iptables, { parts: text.iptables }, 0o600),
        stageFile(paths.nft, { parts: text.nft }, 0o600),
      );
      return {
        async commit() {
          for (const path of damaged) await rename(path, `${path}.damaged`);
          damaged.clear();
          await routed.rename();
          await bridged.rename();
          await Promise.all([...new Set(all.map(path => dirname(path)))].map(syncFolder));
          known = await identify(all);
        },
        async discard() {
          await Promise.all([routed.discard(), bridged.discard()]);
        },
      };
    },
    changedOutside: async () => known !== (await identify(all)),
  };
}

/** Leaves either both files on the disk or neither. */
async function settleBoth(
  first: Promise<StagedFile>,
  second: Promise<StagedFile>,
): Promise<[StagedFile, StagedFile]> {
  const both = await Promise.allSettled([first, second]);
  const [a, b] = both;
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  for (const one of both) if (one.status === 'fulfilled') await one.value.discard();
  throw a.status === 'rejected' ? a.reason : b.status === 'rejected' ? b.reason : new Error('unreachable');
}

/** Returns a value that changes when a file is replaced or written to. */
async function identify(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(
    paths.map(async path => {
      const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      return found === undefined ? '-' : [found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
    }),
  );
  return stats.join('\n');
}

function sameIds(a: readonly Rule[], b: readonly Rule[]): boolean {
  const ids = new Set(a.map(({ id }) => id));
  return ids.size === new Set(b.map(({ id }) => id)).size && b.every(({ id }) => ids.has(id));
}
