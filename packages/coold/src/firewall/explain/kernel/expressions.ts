import { attributesOf, listOf, numberOf, textOf } from '../../netlink/netlink.ts';
import { readMatch, readTarget, type XtablesMatch, type XtablesTarget } from './xtables.ts';

// The expressions of nf_tables rules as the kernel lists them. Each version of nft words a rule differently; the
// kernel's form is stable. Names and numbers are those of linux/netfilter/nf_tables.h. Pure.

/** The index of a register: a word of 4 bytes that expressions read and write. */
export type Register = number;

export type Expression =
  | { kind: 'payload'; to: Register; base: 'link' | 'network' | 'transport'; offset: number; length: number }
  | { kind: 'meta'; to: Register; key: number }
  | { kind: 'set meta'; from: Register; key: number }
  | { kind: 'ct'; to: Register; key: number; hasDirection: boolean }
  | { kind: 'set ct'; from: Register; key: number }
  | { kind: 'fib'; to: Register; result: number; flags: number }
  | { kind: 'compare'; from: Register; operator: Operator; data: Buffer }
  | { kind: 'range'; from: Register; isInside: boolean; low: Buffer; high: Buffer }
  | { kind: 'mask'; from: Register; to: Register; mask: Buffer; xor: Buffer }
  | { kind: 'byte order'; from: Register; to: Register; length: number; size: number }
  | { kind: 'lookup'; from: Register; set: string; isInverted: boolean; to: Register | undefined }
  | { kind: 'data'; to: Register; data: Buffer }
  | { kind: 'verdict'; verdict: Verdict }
  /** `to`: the register with the new address; undefined when it is the interface's address or this host's. */
  | { kind: 'translate'; what: 'source' | 'destination'; to: Register | undefined }
  | { kind: 'match'; match: XtablesMatch }
  | { kind: 'target'; target: XtablesTarget }
  /** Connection tracking ignores the packet unless it has seen it already. */
  | { kind: 'untrack' }
  /** Gives the packet another address or port. */
  | { kind: 'rewrite'; name: string }
  /** Changes the elements of a set. @param isCertain whether the rule always continues after it */
  | { kind: 'update'; set: string; isCertain: boolean }
  /** Does not affect where the packet goes. */
  | { kind: 'no matter'; name: string }
  /** Puts an unknown value into a register. */
  | { kind: 'value not understood'; name: string; to: Register }
  /** Not known whether the rule continues after it. */
  | { kind: 'not understood'; name: string };

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';

export type Verdict =
  | { kind: 'accept' | 'drop' | 'return' | 'continue' }
  | { kind: 'jump' | 'goto'; chain: string }
  /** Hands the packet to something that decides by itself, such as a user-space program. */
  | { kind: 'elsewhere'; name: string };

const operators: readonly Operator[] = ['==', '!=', '<', '<=', '>', '>='];
const bases = ['link', 'network', 'transport'] as const;

/** Parses the list of a rule's expressions. */
export function readExpressions(list: Buffer): Expression[] {
  return listOf(list).map(element => {
    const { 1: name, 2: data } = fields(element);
    return readExpression(textOf(name), fields(data ?? Buffer.alloc(0)));
  });
}

type Fields = Record<number, Buffer>;

function fields(bytes: Buffer): Fields {
  return Object.fromEntries(attributesOf(bytes));
}

function readExpression(name: string, given: Fields): Expression {
  const number = (type: number) => numberOf(given[type]);
  const register = (type: number) => registerOf(number(type));
  const [first, second, third] = [register(1), register(2), register(3)];
  const strange: Expression = { kind: 'not understood', name };
  switch (name) {
    case 'payload': {
      const base = bases[number(2) ?? -1];
      const [offset, length] = [number(3), number(4)];
      if (first === undefined || offset === undefined || length === undefined)
        return given[5] === undefined ? strange : readWrite(base, offset ?? 0, length ?? 0);
      if (base === undefined) return { kind: 'value not understood', name: 'payload', to: first };
      return { kind: 'payload', to: first, base, offset, length };
    }
    case 'meta':
    case 'ct': {
      const key = number(2);
      if (key === undefined) return strange;
      const from = register(name === 'meta' ? 3 : 4);
      if (from !== undefined && name === 'meta' && !plainMeta.has(key))
        return { kind: 'target', target: { kind: 'doubtful', name: 'meta set' } };
      if (from !== undefined) return { kind: name === 'meta' ? 'set meta' : 'set ct', from, key };
      if (first === undefined) return strange;
      return name === 'meta'
        ? { kind: 'meta', to: first, key }
        : { kind: 'ct', to: first, key, hasDirection: given[3] !== undefined };
    }
    case 'fib': {
      const [result, flags] = [number(2), number(3)];
      if (first === undefined || result === undefined || flags === undefined) return strange;
      return { kind: 'fib', to: first, result, flags };
    }
    case 'cmp': {
      const operator = operators[number(2) ?? -1];
      const data = dataOf(given[3]);
      if (first === undefined || operator === undefined || data === undefined) return strange;
      return { kind: 'compare', from: first, operator, data };
    }
    case 'range': {
      const [low, high] = [dataOf(given[3]), dataOf(given[4])];
      if (first === undefined || low === undefined || high === undefined) return strange;
      return { kind: 'range', from: first, isInside: number(2) === 0, low, high };
    }
    case 'bitwise': {
      const [mask, xor] = [dataOf(given[4]), dataOf(given[5])];
      if (second === undefined) return strange;
      if (first === undefined || mask === undefined || xor === undefined || (number(6) ?? 0) !== 0)
        return { kind: 'value not understood', name, to: second };
      return { kind: 'mask', from: first, to: second, mask, xor };
    }
    case 'byteorder': {
      const [length, size] = [number(4), number(5)];
      if (second === undefined) return strange;
      if (first === undefined || length === undefined || size === undefined)
        return { kind: 'value not understood', name, to: second };
      return { kind: 'byte order', from: first, to: second, length, size };
    }
    case 'lookup':
      if (second === undefined || given[1] === undefined) return strange;
      return {
        kind: 'lookup',
        from: second,
        set: textOf(given[1]),
        isInverted: ((number(5) ?? 0) & 1) !== 0,
        to: third,
      };
    case 'immediate':
      return readImmediate(first, number(1), given[2]) ?? strange;
    case 'nat':
      return { kind: 'translate', what: number(1) === 1 ? 'destination' : 'source', to: third };
    case 'masq':
      return { kind: 'translate', what: 'source', to: undefined };
    case 'redir':
    case 'tproxy':
      return { kind: 'translate', what: 'destination', to: undefined };
    case 'reject':
      return { kind: 'verdict', verdict: { kind: 'drop' } };
    case 'match':
      return {
        kind: 'match',
        match: readMatch(textOf(given[1]), number(2) ?? 0, given[3] ?? Buffer.alloc(0)),
      };
    case 'target':
      return {
        kind: 'target',
        target: readTarget(textOf(given[1]), number(2) ?? 0, given[3] ?? Buffer.alloc(0)),
      };
    case 'dynset':
      // Expressions attached to the element, such as a limit, may end the rule; a counter never does.
      return { kind: 'update', set: textOf(given[1]), isCertain: areCounters(given[7], given[10]) };
    case 'notrack':
      return { kind: 'untrack' };
    case 'objref':
      return passingObjects.has(number(1) ?? 0)
        ? { kind: 'no matter', name: `@${textOf(given[2])}` }
        : strange;
    case 'queue':
    case 'synproxy':
      return { kind: 'verdict', verdict: { kind: 'elsewhere', name } };
    case 'counter':
    case 'log':
    case 'last':
    case 'dup':
    case 'flow_offload':
      return { kind: 'no matter', name };
    default:
      return strange;
  }
}

/** Packet metadata that a rule may set without affecting the path: priority, mark, trace and security mark. */
const plainMeta = new Set([2, 3, 12, 14]);
/** Objects that let a rule continue: counters, helpers, timeouts and expectations of connections, and security marks. */
const passingObjects = new Set([1, 3, 7, 8, 9]);

/** Parses an expression that writes into the packet. */
function readWrite(base: (typeof bases)[number] | undefined, offset: number, length: number): Expression {
  const name = 'payload set';
  const end = offset + length;
  // Header fields that do not decide where the packet goes: IP's type of service, identification and checksum, the
  // source port, and the sender of a frame.
  const isPlain =
    (base === 'network' && (end <= 2 || (offset >= 4 && end <= 6) || (offset >= 10 && end <= 12))) ||
    (base === 'transport' && end <= 2) ||
    (base === 'link' && offset >= 6 && end <= 12);
  return isPlain ? { kind: 'no matter', name } : { kind: 'rewrite', name };
}

/**
 * Whether an element has only counters attached, so that a look-up that finds it never ends the rule.
 *
 * @param single the attribute that holds one expression; `several` holds a list
 */
export function areCounters(single: Buffer | undefined, several: Buffer | undefined): boolean {
  const all = [...(single === undefined ? [] : [single]), ...(several === undefined ? [] : listOf(several))];
  return all.every(element => textOf(fields(element)[1]) === 'counter');
}

function readImmediate(
  to: Register | undefined,
  number: number | undefined,
  data: Buffer | undefined,
): Expression | undefined {
  if (data === undefined) return undefined;
  const { 1: value, 2: verdict } = fields(data);
  if (number === 0 && verdict !== undefined) {
    const read = readVerdict(verdict);
    return read === undefined ? undefined : { kind: 'verdict', verdict: read };
  }
  return to === undefined || value === undefined ? undefined : { kind: 'data', to, data: value };
}

/** Parses the verdict in the data of a map's element or a rule. */
export function readVerdict(bytes: Buffer): Verdict | undefined {
  const { 1: code, 2: chain } = fields(bytes);
  if (code === undefined || code.length < 4) return undefined;
  const number = code.readInt32BE(0);
  switch (number) {
    case 0:
      return { kind: 'drop' };
    case 1:
      return { kind: 'accept' };
    case -1:
      return { kind: 'continue' };
    case -3:
    case -4:
      return { kind: number === -3 ? 'jump' : 'goto', chain: textOf(chain) };
    case -5:
      return { kind: 'return' };
    default:
      return { kind: 'elsewhere', name: number === 3 ? 'queue' : `verdict ${number}` };
  }
}

/** Returns the value in a data attribute; undefined when it is a verdict or absent. */
export function dataOf(data: Buffer | undefined): Buffer | undefined {
  return data === undefined ? undefined : fields(data)[1];
}

/**
 * Returns the word at which a register begins. There are four registers of 16 bytes and sixteen of 4 bytes, which share
 * their memory.
 */
function registerOf(number: number | undefined): Register | undefined {
  if (number === undefined || number === 0) return undefined;
  if (number <= 4) return (number - 1) * 4;
  return number >= 8 && number < 24 ? number - 8 : undefined;
}
