import { iptablesLine, readIptablesLine } from './iptables-rule.ts';
import { bridgePlace, nftLine, readNftLine } from './nft-rule.ts';
import { compareRules, type Rule } from './rule.ts';

/** A rule with its line in each of the two files; kept, so that one change does not render thousands of others. */
export interface SnapshotEntry {
  rule: Rule;
  iptables: string;
  nft: string;
}

/** Every rule once, in the order of the files. */
export type Snapshot = readonly SnapshotEntry[];

/** The snapshot with rules added and others, by id, removed; an added one that is there already stays as it is. */
export function changeSnapshot(
  snapshot: Snapshot,
  chain: string,
  change: { add: readonly Rule[]; remove: ReadonlySet<string> },
): Snapshot {
  const added = sorted(change.add).map(rule => ({
    rule,
    iptables: `${iptablesLine('-A', chain, rule)}\n`,
    nft: `${nftLine(rule)}\n`,
  }));
  const next: SnapshotEntry[] = [];
  let position = 0;
  const push = (entry: SnapshotEntry) => {
    if (next.at(-1)?.rule.id !== entry.rule.id) next.push(entry);
  };
  for (const entry of snapshot) {
    if (change.remove.has(entry.rule.id)) continue;
    for (let before = added[position]; before !== undefined; before = added[position]) {
      if (compareRules(before.rule, entry.rule) >= 0) break;
      push(before);
      position += 1;
    }
    push(entry);
  }
  for (const entry of added.slice(position)) push(entry);
  return next;
}

/** As `compareRules` has them; thousands are sorted much quicker by text, in which a space comes before all of a label. */
function sorted(rules: readonly Rule[]): Rule[] {
  const byKey = new Map(rules.map(rule => [`${rule.namespace} ${rule.id}`, rule]));
  return [...byKey.keys()].sort().flatMap(key => byKey.get(key) ?? []);
}

/** Both files, to the byte (CONTRACT §4), in lines: joining thousands for every change would be most of its work. */
export function renderSnapshot(snapshot: Snapshot, chain: string): { iptables: string[]; nft: string[] } {
  const iptables = ['*filter\n', `:${chain} -\n`];
  const nft = [`flush chain ${bridgePlace}\n`];
  let namespace: string | undefined;
  for (const entry of snapshot) {
    if (entry.rule.namespace !== namespace) {
      ({ namespace } = entry.rule);
      iptables.push(`# namespace: ${namespace}\n`);
    }
    iptables.push(entry.iptables);
    nft.push(entry.nft);
  }
  iptables.push('COMMIT\n');
  return { iptables, nft };
}

/** A file that is not a snapshot, or not all of one. */
export class SnapshotError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SnapshotError';
  }
}

/** Reads the file of the routed plane back. @throws SnapshotError naming the line */
export function readIptablesSnapshot(text: string, chain: string): Rule[] {
  const lines = wholeLines(text);
  const declared = new RegExp(`^:${chain} -( \\[0:0\\])?$`);
  const rules: Rule[] = [];
  let expected: 'table' | 'chain' | 'rules' | 'end' = 'table';
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    if (expected === 'table' && line === '*filter') expected = 'chain';
    else if (expected === 'chain' && declared.test(line)) expected = 'rules';
    else if (expected === 'rules' && line === 'COMMIT') expected = 'end';
    else {
      const listed = expected === 'rules' ? readIptablesLine(chain, line) : undefined;
      if (listed?.standing.kind !== 'rule') throw unexpected(index, line);
      rules.push(listed.standing.rule);
    }
  }
  if (expected !== 'end') throw new SnapshotError('it ends before COMMIT');
  return rules;
}

/** Reads the file of the bridged plane back. @throws SnapshotError naming the line */
export function readNftSnapshot(text: string): Rule[] {
  const rules: Rule[] = [];
  let flushed = false;
  for (const [index, line] of wholeLines(text).entries()) {
    if (line === '' || line.startsWith('#')) continue;
    if (!flushed && line === `flush chain ${bridgePlace}`) flushed = true;
    else {
      const rule = flushed ? readNftLine(line) : undefined;
      if (rule === undefined) throw unexpected(index, line);
      rules.push(rule);
    }
  }
  if (!flushed) throw new SnapshotError('it does not begin with a flush of the chain');
  return rules;
}

function wholeLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new SnapshotError('it ends within a line');
  return lines;
}

function unexpected(index: number, line: string): SnapshotError {
  return new SnapshotError(
    `line ${index + 1} is not one of a snapshot: ${JSON.stringify(line.slice(0, 100))}`,
  );
}
