import type { Logger } from '@coold/runtime';
import type { Change } from './change.ts';
import type { Rule } from './rule.ts';
import { changeSnapshot, iptablesSnapshot, nftSnapshot, type Snapshot } from './snapshot.ts';
import type { SnapshotFiles, StagedSnapshot } from './snapshot-files.ts';

/** What the two files say, as last read or written. */
export interface Filed {
  /** Undefined while there are none that can be read. */
  readonly rules: Snapshot | undefined;
  readonly ids: ReadonlySet<string>;
  /** What is wrong with them, if anything. */
  readonly problem: string | undefined;
  /** @param known a rule that is in memory already, by its id: thousands need not be there twice. @throws Error */
  read(known: (id: string) => Rule | undefined): Promise<void>;
  /** Reads them again where somebody else has changed them. @throws Error */
  readChanged(known: (id: string) => Rule | undefined): Promise<void>;
  /**
   * Puts what they are to say after some changes on the disk, where nobody sees it yet.
   *
   * @param standing what they begin with while none can be read
   * @throws Error
   */
  stage(changes: readonly Change[], standing: Iterable<Rule>): Promise<StagedSnapshot>;
  /** Writes it at once. @throws Error */
  write(changes: readonly Change[], standing: Iterable<Rule>): Promise<void>;
}

export function createFiled(files: SnapshotFiles, chain: string, log: Logger): Filed {
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

  /** What came and went, instead of thousands that stay. */
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
