import type { Logger } from '@coold/runtime';
import type { Change } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';
import { changeSnapshot, iptablesSnapshot, nftSnapshot, type Snapshot } from './snapshot.ts';
import type { SnapshotFiles, StagedSnapshot } from './snapshot-files.ts';

/** The content of both files, as last read or written. */
export interface SnapshotCache {
  /** Undefined while no file can be read. */
  readonly rules: Snapshot | undefined;
  readonly ids: ReadonlySet<string>;
  /** What is wrong with the files, if anything. */
  readonly problem: string | undefined;
  /** @param known returns a rule that is in memory already, so that thousands are not there twice @throws Error */
  read(known: (id: string) => Rule | undefined): Promise<void>;
  /** Reads the files again when another program has changed them. @throws Error */
  readChanged(known: (id: string) => Rule | undefined): Promise<void>;
  /**
   * Writes the files' new content to the disk under temporary names.
   *
   * @param standing the rules to start from while no file can be read
   * @throws Error
   */
  stage(changes: readonly Change[], standing: Iterable<Rule>): Promise<StagedSnapshot>;
  /** Writes the new content at once. @throws Error */
  write(changes: readonly Change[], standing: Iterable<Rule>): Promise<void>;
}

export function createSnapshotCache(files: SnapshotFiles, chain: string, log: Logger): SnapshotCache {
  let rules: Snapshot | undefined;
  let ids = new Set<string>();
  let problem: string | undefined;

  const snapshotOf = (some: Iterable<Rule>) => changeSnapshot([], { add: [...some], remove: new Set() });

  async function read(known: (id: string) => Rule | undefined): Promise<void> {
    const found = await files.read();
    ({ problem } = found);
    if (problem !== undefined)
      log.warn({ problem }, 'the snapshots of the firewall are not as they should be');
    rules =
      found.rules === undefined ? undefined : snapshotOf(found.rules.map(rule => known(rule.id) ?? rule));
    ids = new Set(rules?.map(({ id }) => id));
  }

  /** Adds and removes only what changed, instead of replacing thousands of rules. */
  function adopt(next: Snapshot, add: readonly Rule[], remove: ReadonlySet<string>): void {
    if (rules === undefined) ids = new Set(next.map(({ id }) => id));
    for (const id of remove) ids.delete(id);
    for (const { id } of add) ids.add(id);
    [rules, problem] = [next, undefined];
  }

  async function stage(changes: readonly Change[], standing: Iterable<Rule>): Promise<StagedSnapshot> {
    const add: Rule[] = [];
    const remove = new Set<string>();
    for (const { kind, rule, file } of changes) {
      if (!file) continue;
      if (kind === 'add') add.push(rule);
      else remove.add(rule.id);
    }
    const next = changeSnapshot(rules ?? snapshotOf(standing), { add, remove });
    const staged = await files.stage({ iptables: iptablesSnapshot(next, chain), nft: nftSnapshot(next) });
    return {
      async commit() {
        await staged.commit();
        adopt(next, add, remove);
      },
      discard: staged.discard,
    };
  }

  return {
    get rules() {
      return rules;
    },
    get ids() {
      return ids;
    },
    get problem() {
      return problem;
    },
    read,
    async readChanged(known) {
      if (!(await files.changedOutside())) return;
      log.warn('somebody else changed the snapshots of the firewall; they are read again');
      await read(known);
    },
    stage,
    async write(changes, standing) {
      const staged = await stage(changes, standing);
      try {
        await staged.commit();
      } catch (error) {
        await staged.discard().catch(() => {});
        throw error;
      }
    },
  };
}
