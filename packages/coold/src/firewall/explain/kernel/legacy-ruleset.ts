import { textOf } from '../../netlink/netlink.ts';
import type { XtTable } from '../../netlink/xt-socket.ts';
import type { Expression } from './expressions.ts';
import type { BaseChain, ChainRule, Place } from './rules.ts';
import { readMatch, readTarget } from './xtables.ts';

/** The rules of an iptables-legacy table that may concern packets between two addresses. */
export interface LegacyTable {
  table: string;
  baseChains: BaseChain[];
  /** By chain. */
  rules: Map<string, ChainRule[]>;
}

const hookNames = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const;
const priorities: Readonly<Record<string, number>> = { raw: -300, mangle: -150, filter: 0, security: 50 };

// struct ipt_entry of linux/netfilter_ipv4/ip_tables.h, and the struct of matches and targets of linux/netfilter/x_tables.h.
const entry = {
  source: 0,
  destination: 4,
  sourceMask: 8,
  destinationMask: 12,
  into: 16,
  out: 32,
  intoMask: 48,
  outMask: 64,
  proto: 80,
  flags: 82,
  inverted: 83,
  target: 88,
  next: 90,
  bytes: 112,
} as const;
const extension = { size: 0, name: 2, revision: 31, data: 32 } as const;
const flagBits = { fragment: 1, goto: 2 } as const;
const invertedBits = { into: 1, out: 2, source: 8, destination: 16, fragment: 32, proto: 64 } as const;
/** The target name that marks the beginning of a user-defined chain, and the end of the table. */
const chainMark = 'ERROR';
const returns = -5;
const namesBytes = 16;

/**
 * Reads a table. Rules that name another source or destination are left out, because nearly all of thousands of allow
 * rules do. Pure.
 *
 * @param source an address of four bytes, like `destination`
 * @throws Error when the rules are not as the kernel writes them
 */
export function readLegacyTable(
  { table, entries, policies, rules: bytes }: XtTable,
  source: Buffer,
  destination: Buffer,
): LegacyTable {
  const [from, to] = [source.readUInt32LE(0), destination.readUInt32LE(0)];
  // In the table `filter` no packet has had its source translated yet; in later tables it may have.
  const looksAtSource = table === 'filter';
  /** Chain names by the offset of their first rule. */
  const chains = new Map<number, string>();
  for (const [hook, at] of entries.entries()) if (at !== undefined) chains.set(at, hookNames[hook] ?? '');
  const kept: { at: number; chain: string }[] = [];
  const policyPlaces = new Set(policies);
  let chain = '';
  let before = -1;
  for (let at = 0; at < bytes.length; ) {
    const next = at + lengthAt(bytes, at);
    chain = chains.get(at) ?? chain;
    const mark = markAt(bytes, at);
    if (mark !== undefined) {
      chains.set(next, mark);
      // The kernel ends each chain with a return of its own, which is not a rule.
      if (kept.at(-1)?.at === before) kept.pop();
    } else if (!policyPlaces.has(at)) {
      const inverted = bytes[at + entry.inverted] ?? 0;
      const isOther = (address: number, nameAt: number, maskAt: number, bit: number) =>
        (inverted & bit) === 0 &&
        ((address ^ bytes.readUInt32LE(at + nameAt)) & bytes.readUInt32LE(at + maskAt)) !== 0;
      if (
        !isOther(to, entry.destination, entry.destinationMask, invertedBits.destination) &&
        !(looksAtSource && isOther(from, entry.source, entry.sourceMask, invertedBits.source))
      )
        kept.push({ at, chain });
    }
    [before, at] = [at, next];
  }
  const rules = new Map<string, ChainRule[]>();
  for (const { at, chain: name } of kept) {
    const listed = rules.get(name) ?? [];
    rules.set(name, listed);
    listed.push(readRule({ family: 'legacy', table, chain: name }, bytes, at, chains));
  }
  const baseChains = hookNames.flatMap((name, hook): BaseChain[] => {
    const policyAt = policies[hook];
    if (policyAt === undefined) return [];
    const drops = verdictIn(targetOf(bytes, policyAt)) === -1;
    return [
      {
        ...({ family: 'legacy', table, chain: name, hook } as const),
        priority: priorityOf(table, name),
        type: table === 'nat' ? 'nat' : 'filter',
        policy: drops ? 'drop' : 'accept',
        devices: [],
      },
    ];
  });
  return { table, baseChains, rules };
}

function priorityOf(table: string, chain: string): number {
  if (table === 'nat') return chain === 'PREROUTING' || chain === 'OUTPUT' ? -100 : 100;
  return priorities[table] ?? 0;
}

/** Returns a rule's length in bytes. @throws Error when the rule or its target does not lie inside the table */
function lengthAt(bytes: Buffer, at: number): number {
  if (at + entry.bytes > bytes.length) throw unreadable();
  const [target, next] = [bytes.readUInt16LE(at + entry.target), bytes.readUInt16LE(at + entry.next)];
  const isInside = target >= entry.bytes && target + extension.data <= next && at + next <= bytes.length;
  if (!isInside) throw unreadable();
  return next;
}

const unreadable = () => new Error('a table of iptables-legacy is not as the kernel writes it');

/** Returns the chain that begins after this entry; undefined when the entry is a rule. */
function markAt(bytes: Buffer, at: number): string | undefined {
  const target = at + bytes.readUInt16LE(at + entry.target);
  const nameAt = target + extension.name;
  if (bytes[nameAt] !== chainMark.charCodeAt(0)) return undefined; // asked of thousands
  const { name, info } = targetOf(bytes, at);
  return name === chainMark ? textOf(info) : undefined;
}

interface Extension {
  name: string;
  revision: number;
  info: Buffer;
  length: number;
}

/**
 * Reads a match or a target.
 *
 * @param end the end of the rule that holds it
 * @throws Error when it extends beyond that end
 */
function extensionAt(bytes: Buffer, at: number, end: number): Extension {
  const length = at + extension.data > end ? 0 : bytes.readUInt16LE(at + extension.size);
  if (length < extension.data || at + length > end) throw unreadable();
  return {
    name: textOf(bytes.subarray(at + extension.name, at + extension.revision)),
    revision: bytes.readUInt8(at + extension.revision),
    info: bytes.subarray(at + extension.data, at + length),
    length,
  };
}

/** Returns the target of the rule at an offset. */
function targetOf(bytes: Buffer, at: number): Extension {
  const end = at + lengthAt(bytes, at);
  return extensionAt(bytes, at + bytes.readUInt16LE(at + entry.target), end);
}

/** Returns the verdict of the standard target; undefined for a target with a name. */
function verdictIn({ name, info }: Extension): number | undefined {
  return name === '' && info.length >= 4 ? info.readInt32LE(0) : undefined;
}

function readRule(place: Place, bytes: Buffer, at: number, chains: ReadonlyMap<number, string>): ChainRule {
  const [flags, inverted] = [bytes.readUInt8(at + entry.flags), bytes.readUInt8(at + entry.inverted)];
  const operator = (bit: number) => ((inverted & bit) === 0 ? '==' : '!=');
  const part = (offset: number, length: number) => bytes.subarray(at + offset, at + offset + length);
  const asked = (loaded: Expression, bit: number, data: Buffer): Expression[] => [
    loaded,
    { kind: 'compare', from: 0, operator: operator(bit), data },
  ];
  const address = (offset: number, value: number, maskAt: number, bit: number): Expression[] => {
    const mask = part(maskAt, 4);
    const bits = mask.readUInt32LE(0);
    if (bits === 0 && (inverted & bit) === 0) return [];
    // A network of whole bytes is compared by these bytes, without a mask.
    const length = [0xff, 0xffff, 0xffffff, 0xffffffff].indexOf(bits) + 1;
    if (length > 0)
      return asked({ kind: 'payload', to: 0, base: 'network', offset, length }, bit, part(value, length));
    return [
      { kind: 'payload', to: 0, base: 'network', offset, length: 4 },
      ...asked({ kind: 'mask', from: 0, to: 0, mask, xor: Buffer.alloc(4) }, bit, part(value, 4)),
    ];
  };
  const link = (key: number, name: number, mask: number, bit: number): Expression[] => {
    const length = part(mask, namesBytes).lastIndexOf(0xff) + 1;
    return length === 0 && (inverted & bit) === 0
      ? []
      : asked({ kind: 'meta', to: 0, key }, bit, part(name, length));
  };
  const proto = bytes.readUInt16LE(at + entry.proto);
  const target = at + bytes.readUInt16LE(at + entry.target);
  const matches: Expression[] = [];
  let comment = '';
  for (let next = at + entry.bytes; next < target; ) {
    const { name, revision, info, length } = extensionAt(bytes, next, target);
    if (name === 'comment') comment = textOf(info);
    else matches.push({ kind: 'match', match: readMatch(name, revision, info) });
    next += length;
  }
  const expressions: Expression[] = [
    ...address(12, entry.source, entry.sourceMask, invertedBits.source),
    ...address(16, entry.destination, entry.destinationMask, invertedBits.destination),
    ...link(6, entry.into, entry.intoMask, invertedBits.into),
    ...link(7, entry.out, entry.outMask, invertedBits.out),
    ...(proto === 0 && (inverted & invertedBits.proto) === 0
      ? []
      : asked({ kind: 'meta', to: 0, key: 16 }, invertedBits.proto, Buffer.of(proto))),
    ...((flags & flagBits.fragment) === 0 ? [] : fragments((inverted & invertedBits.fragment) !== 0)),
    ...matches,
    readTargetOf(targetOf(bytes, at), (flags & flagBits.goto) !== 0, chains),
  ];
  return { place, expressions, comment };
}

/** Matches the second and later fragments of a packet, or the opposite. */
function fragments(isInverted: boolean): Expression[] {
  return [
    { kind: 'payload', to: 0, base: 'network', offset: 6, length: 2 },
    { kind: 'mask', from: 0, to: 0, mask: Buffer.of(0x1f, 0xff), xor: Buffer.alloc(2) },
    { kind: 'compare', from: 0, operator: isInverted ? '==' : '!=', data: Buffer.alloc(2) },
  ];
}

function readTargetOf(target: Extension, isGoto: boolean, chains: ReadonlyMap<number, string>): Expression {
  const verdict = verdictIn(target);
  if (verdict === undefined || (verdict < 0 && verdict !== returns)) {
    const { name, revision, info } = target;
    return { kind: 'target', target: readTarget(name, revision, info) };
  }
  if (verdict === returns) return { kind: 'verdict', verdict: { kind: 'return' } };
  const chain = chains.get(verdict);
  // A rule without a target continues with the next rule.
  if (chain === undefined) return { kind: 'no matter', name: 'counter' };
  return { kind: 'verdict', verdict: { kind: isGoto ? 'goto' : 'jump', chain } };
}
