import { type ElementFlow, guardSets, readElement } from '../../deny/guard-element.ts';
import { readFlow } from '../../rule/nft-flow.ts';
import type { ListedFlow } from '../../rule/rule.ts';
import { proofTable } from '../nft-proof.ts';

/** Identifies a rule. This is all that the announcement of a deleted rule contains. */
export interface RulePlace {
  family: string;
  table: string;
  chain: string;
  handle: number;
}

/** Identifies a set. */
export interface SetPlace {
  family: string;
  table: string;
  set: string;
}

/** A table that was deleted, or a chain or set of it. */
export interface Gone {
  family: string;
  table: string;
  name: string | undefined;
}

/** A change of the packet filter that the kernel announced. */
export type NftEvent =
  /** The end of a transaction: everything announced since the last one happened at once. It made this generation. */
  | { kind: 'transaction'; generation: number }
  /** Without a flow, the rule differs from allow rules. */
  | { kind: 'rule added'; place: RulePlace; flow: ListedFlow | undefined }
  | { kind: 'rule deleted'; place: RulePlace }
  /** An element of a set was added or deleted. Without a flow, it does not have the form of an allowed flow. */
  | { kind: 'element added' | 'element deleted'; set: SetPlace; flow: ElementFlow | undefined }
  /** The proof of a large change was removed, so all of that change has been announced. */
  | { kind: 'caught up' }
  /** A chain changed that matters only to other programs. */
  | { kind: 'elsewhere' }
  /** A chain, set or table was added or changed. */
  | { kind: 'structure'; object: 'table' | 'chain' | 'set' }
  /** A chain, set or table was deleted with everything in it. */
  | { kind: 'gone'; what: Gone }
  /** An announcement was lost or could not be parsed: only a listing helps. */
  | { kind: 'gap' };

const linePattern = /^([a-z]+) ([a-z]+) ([a-z0-9]+) (\S+)(?: (\S+))?/;
const placePattern = /^(?:add|insert|create) rule \S+ \S+ \S+ (?:(?:handle|position|index) \d+ )?/;
const handlePattern = / # handle (\d{1,15})$/;
const generationPattern = /^# new generation (\d{1,10})\b/;
const deletedPattern = /^delete rule \S+ \S+ \S+ handle (\d{1,15})$/;

/**
 * Parses a line of `nft -a monitor`; undefined when it concerns nothing that is named. The text format is parsed
 * because JSON is four times as long, and prints a deleted rule in full instead of its handle.
 *
 * @param names tables and chains to report in full
 * @param elsewhere chains of which only the fact of a change is reported
 */
export function readNftEvent(
  line: string,
  names: readonly string[],
  elsewhere: readonly string[] = [],
): NftEvent | undefined {
  const [, verb = '', object, family = '', table = '', chain = ''] = linePattern.exec(line) ?? [];
  // "# new generation …" ends a transaction. "# ERROR: We lost some netlink events!" and incomplete lines mean that
  // much may be missing.
  if (object === undefined) {
    const [, generation] = generationPattern.exec(line) ?? [];
    if (generation !== undefined) return { kind: 'transaction', generation: Number(generation) };
    return line === '' ? undefined : unreadable(line, names);
  }
  if (table === proofTable) return verb === 'delete' ? { kind: 'caught up' } : undefined;
  if (!names.includes(table) && !names.includes(chain))
    return elsewhere.includes(chain) ? { kind: 'elsewhere' } : undefined;
  switch (object) {
    case 'table':
    case 'chain':
    case 'set':
      if (object === 'set' && verb !== 'delete' && !guardSets.some(name => name === chain)) return undefined;
      if (verb !== 'delete') return { kind: 'structure', object };
      return { kind: 'gone', what: { family, table, name: object === 'table' ? undefined : chain } };
    case 'rule':
      return readRuleEvent(line, verb, { family, table, chain });
    case 'element':
      return readElementEvent(line, verb, { family, table, set: chain });
    default:
      return undefined;
  }
}

/**
 * Either the rest of an entry that contained a line break, or a loss. The former matters only when it names one of
 * ours.
 */
function unreadable(line: string, names: readonly string[]): NftEvent | undefined {
  return line.startsWith('#') || names.some(name => line.includes(name)) ? { kind: 'gap' } : undefined;
}

function readRuleEvent(line: string, verb: string, where: Omit<RulePlace, 'handle'>): NftEvent {
  switch (verb) {
    case 'add':
    case 'insert':
    case 'create': {
      const begins = placePattern.exec(line);
      const ends = handlePattern.exec(line);
      if (begins === null || ends === null) return { kind: 'gap' };
      const place = { ...where, handle: Number(ends[1]) };
      return { kind: 'rule added', place, flow: readFlow(line.slice(begins[0].length, ends.index)) };
    }
    case 'delete': {
      const [, handle] = deletedPattern.exec(line) ?? [];
      return handle === undefined
        ? { kind: 'gap' }
        : { kind: 'rule deleted', place: { ...where, handle: Number(handle) } };
    }
    default:
      return { kind: 'gap' };
  }
}

function readElementEvent(line: string, verb: string, set: SetPlace): NftEvent {
  const flow = readElement(line.slice(line.indexOf('{')));
  switch (verb) {
    case 'add':
    case 'create':
      return { kind: 'element added', set, flow };
    case 'delete':
      return { kind: 'element deleted', set, flow };
    default:
      return { kind: 'gap' };
  }
}
