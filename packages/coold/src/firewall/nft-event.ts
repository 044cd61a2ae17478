import { type ElementFlow, guardSets, readElement } from './guard-element.ts';
import { readFlow } from './nft-flow.ts';
import { proofTable } from './nft-proof.ts';
import type { ListedFlow } from './rule.ts';

/** Where a rule is: all that a deleted one still says of itself. */
export interface RulePlace {
  family: string;
  table: string;
  chain: string;
  handle: number;
}

/** Which set. */
export interface SetPlace {
  family: string;
  table: string;
  set: string;
}

/** What went: a table, or a chain or set of it by its name. */
export interface Gone {
  family: string;
  table: string;
  name: string | undefined;
}

/** What the kernel announced of the packet filter. */
export type NftEvent =
  /** A transaction ends here: what was announced since the last one happened at once. */
  | { kind: 'transaction' }
  /** Without a flow: it matches or does more or else than an allow rule. */
  | { kind: 'rule added'; place: RulePlace; flow: ListedFlow | undefined }
  | { kind: 'rule deleted'; place: RulePlace }
  /** An element of a set came or went. Without a flow: it is of another form than those of allowed flows. */
  | { kind: 'element added' | 'element deleted'; set: SetPlace; flow: ElementFlow | undefined }
  /** The proof of a large change went: everything that it did was announced before. */
  | { kind: 'caught up' }
  /** One of the chains that only somebody else cares for changed. */
  | { kind: 'elsewhere' }
  /** A chain, set or table came, or another one went. */
  | { kind: 'structure' }
  /** A chain, set or table went, with everything in it. */
  | { kind: 'gone'; what: Gone }
  /** Something was announced that could not be read, or was lost: only a listing helps. */
  | { kind: 'gap' };

const linePattern = /^([a-z]+) ([a-z]+) ([a-z0-9]+) (\S+)(?: (\S+))?/;
const placePattern = /^(?:add|insert|create) rule \S+ \S+ \S+ (?:(?:handle|position|index) \d+ )?/;
const handlePattern = / # handle (\d{1,15})$/;
const deletedPattern = /^delete rule \S+ \S+ \S+ handle (\d{1,15})$/;

/**
 * Reads a line of `nft -a monitor`; undefined when it tells of nothing that is named. Its text and not its JSON, which is four
 * times as long, and of a deleted rule all of it instead of its handle.
 *
 * @param names of these tables and chains everything is told
 * @param elsewhere of these chains only that something changed
 */
export function readNftEvent(
  line: string,
  names: readonly string[],
  elsewhere: readonly string[] = [],
): NftEvent | undefined {
  const [, verb = '', object, family = '', table = '', chain = ''] = linePattern.exec(line) ?? [];
  // "# new generation …" ends a transaction; "# ERROR: We lost some netlink events!" much, and so does half a line.
  if (object === undefined) {
    if (line.startsWith('# new ')) return { kind: 'transaction' };
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
      if (verb !== 'delete') return { kind: 'structure' };
      return { kind: 'gone', what: { family, table, name: object === 'table' ? undefined : chain } };
    case 'rule':
      return readRuleEvent(line, verb, { family, table, chain });
    case 'element':
      return readElementEvent(line, verb, { family, table, set: chain });
    default:
      return undefined;
  }
}

/** The rest of what had a line break in it, or a loss: of the former only what names one of ours can be about ours. */
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
