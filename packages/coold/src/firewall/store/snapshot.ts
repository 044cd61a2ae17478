import { iptablesLine, readIptablesLine } from '../rule/iptables-rule.ts';
import { bridgePlace, nftLine, readNftLine } from '../rule/nft-rule.ts';
import { compareRules, type Rule } from '../rule/rule.ts';

/** Every rule once, in the order of the files. */
export type Snapshot = readonly Rule[];

/** Returns the snapshot with rules added and others removed by id. A rule that is there already stays as it is. */
export function changeSnapshot(
  snapshot: Snapshot,
  { add, remove }: { add: readonly Rule[]; remove: ReadonlySet<string> },
): Snapshot {
  const added = sorted(add);
  const next: Rule[] = [];
  let position = 0;
  for (const rule of snapshot) {
    if (remove.has(rule.id)) continue;
    for (let before = added[position]; before !== undefined; before = added[position]) {
      const order = compareRules(before, rule);
      if (order > 0) break;
      if (order < 0) next.push(before);
      position += 1;
    }
    next.push(rule);
  }
  for (const rule of added.slice(position)) next.push(rule);
  return next;
}

/** Sorts as `compareRules` does. Sorting thousands of keys is much quicker than comparing rules in pairs. */
function sorted(rules: readonly Rule[]): Rule[] {
  const [only] = rules;
  if (only !== undefined && rules.length === 1) return [only];
  const namespaces = new Map<string, Map<string, Rule>>();
  for (const rule of rules) {
    const known = namespaces.get(rule.namespace);
    if (known === undefined) namespaces.set(rule.namespace, new Map([[rule.id, rule]]));
    else known.set(rule.id, rule);
  }
  return [...namespaces.keys()].sort().flatMap(namespace => {
    const known = namespaces.get(namespace) ?? new Map<string, Rule>();
    return [...known.keys()].sort().flatMap(id => known.get(id) ?? []);
  });
}

/** Yields the lines of the routed plane's file, byte for byte (docs/contract.md §4). */
export function* iptablesSnapshot(snapshot: Snapshot, chain: string): Generator<string> {
  yield `*filter\n:${chain} -\n`;
  let namespace: string | undefined;
  for (const rule of snapshot) {
    if (rule.namespace !== namespace) {
      ({ namespace } = rule);
      yield `# namespace: ${namespace}\n`;
    }
    yield `${iptablesLine('-A', chain, rule)}\n`;
  }
  yield 'COMMIT\n';
}

/** Yields the lines of the bridged plane's file, byte for byte. */
export function* nftSnapshot(snapshot: Snapshot): Generator<string> {
  yield `flush chain ${bridgePlace}\n`;
  for (const rule of snapshot) yield `${nftLine(rule)}\n`;
}

/** A file that is not a complete snapshot. */
export class SnapshotError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SnapshotError';
  }
}

/** Parses the routed plane's file. @throws SnapshotError naming the line */
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

/** Parses the bridged plane's file. @throws SnapshotError naming the line */
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
