import type { Expression, Verdict } from '../kernel/expressions.ts';
import type { BaseChain, ChainRule, Place } from '../kernel/rules.ts';
import type { XtablesTarget } from '../kernel/xtables.ts';
import {
  type AskedPacket,
  connection,
  fib,
  type Loaded,
  meta,
  notThere,
  payload,
  type Station,
  trackingAt,
} from './asked-packet.ts';
import {
  type Answer,
  allKnown,
  common,
  compare,
  equals,
  hostNumber,
  type KnownBits,
  masked,
  negated,
  slice,
  swapped,
  unknownBytes,
} from './known-bits.ts';
import { matchXtables } from './match-xtables.ts';

/** The kernel's rules. */
export interface Ruleset {
  /**
   * Returns the rules of a chain that may concern the packet's addresses.
   *
   * @param isTranslated whether its source is no longer the one that was asked about
   */
  rules(place: Place, isTranslated: boolean): Promise<readonly ChainRule[]>;
  /** Whether a set of the chain's table contains a key, and the key's data where the set is a map. */
  lookUp(place: Place, set: string, key: KnownBits): Promise<Found>;
}

export interface Found {
  answer: Answer;
  /** The data of a map's element. */
  data?: Buffer;
  /** The verdict in an element of a verdict map. */
  verdict?: Verdict;
}

/** What decided: a rule, or a chain's policy. */
export interface Witness {
  place: Place;
  rule: ChainRule | undefined;
  /** Set elements that matched the packet in this rule. */
  sets: readonly string[];
}

/** The possible results of a base chain, each with the rule that decides it first. */
export interface Outcome {
  accept: Witness | undefined;
  drop: Witness | undefined;
  /** The packet may get another address. */
  source: Witness | undefined;
  destination: Witness | undefined;
  /** Bytes that rules match on may be changed. */
  rewritten: Witness | undefined;
  /** The packet may be handed to something that decides by itself, such as a program. */
  elsewhere: Witness | undefined;
}

/** State that the packet carries from chain to chain. */
export interface Carried {
  mark: KnownBits;
  connectionMark: KnownBits;
  /** A rule may have disabled connection tracking for the packet. */
  mayBeUntracked: boolean;
  /** Sets that rules on its path have changed; their elements are no longer known. */
  changedSets: Set<string>;
  /** Whether source translation is already decided, to an address or to none. A connection is translated only once. */
  isSourceSettled: boolean;
}

export function nothingCarried(): Carried {
  return {
    mark: hostNumber(0),
    connectionMark: hostNumber(0),
    isSourceSettled: false,
    mayBeUntracked: false,
    changedSets: new Set(),
  };
}

/** Far more than the kernel allows: nf_tables follows 16 jumps, iptables-legacy as many as there are chains. */
const maxDepth = 1024;
const registerBytes = 64;

/** What may happen to a packet that enters a chain: whether it may end there, and whether it may reach the end. */
interface Passage {
  mayEnd: boolean;
  mayPass: boolean;
}

/**
 * Leads a packet through a base chain as the kernel does. Where it is not known whether a rule matches or what it does,
 * both possibilities are followed; nothing is guessed.
 *
 * @param carried is changed to the state after the chain
 * @throws Error when chains nest deeper than `maxDepth`
 */
export async function evaluate(
  ruleset: Ruleset,
  base: BaseChain,
  packet: AskedPacket,
  station: Station,
  carried: Carried,
): Promise<Outcome> {
  const traversal = new Traversal(ruleset, base, packet, station, carried);
  const { mayPass } = await traversal.followChain(base, true, 0);
  if (mayPass) traversal.outcome[base.policy] ??= { place: base, rule: undefined, sets: [] };
  return traversal.outcome;
}

/** The effect of an expression: whether the rule continues, and the verdict. */
interface Step {
  answer: Answer;
  verdict?: Verdict;
  /** The set that it searched. */
  set?: string;
}

const goesOn: Step = { answer: 'yes' };

/** The packet's traversal of one base chain and the chains it jumps to. */
class Traversal {
  readonly outcome: Outcome = {
    accept: undefined,
    drop: undefined,
    source: undefined,
    destination: undefined,
    rewritten: undefined,
    elsewhere: undefined,
  };
  readonly #ruleset: Ruleset;
  readonly #base: BaseChain;
  readonly #packet: AskedPacket;
  readonly #station: Station;
  readonly #carried: Carried;

  constructor(ruleset: Ruleset, base: BaseChain, packet: AskedPacket, station: Station, carried: Carried) {
    this.#ruleset = ruleset;
    this.#base = base;
    this.#packet = packet;
    this.#station = station;
    this.#carried = carried;
  }

  /** Follows the rules of a chain. @param isCertain whether the packet reaches the chain in any case */
  async followChain(place: Place, isCertain: boolean, depth: number): Promise<Passage> {
    if (depth > maxDepth) throw new Error(`chains lead to each other more than ${maxDepth} times`);
    let certain = isCertain;
    /** Whether the packet may have returned to the calling chain. */
    let escaped = false;
    let mayEnd = false;
    for (const rule of await this.#ruleset.rules(place, this.#packet.isTranslated === true)) {
      const { answer, verdict, sets } = await this.#followRule(rule, certain);
      if (answer === 'no' || verdict === undefined) continue;
      const here: Witness = { place, rule, sets };
      const isSure = answer === 'yes';
      switch (verdict.kind) {
        case 'continue':
          break;
        case 'accept':
        case 'drop':
        case 'elsewhere':
          // A program may return the packet with another mark, and an unknown expression may have changed anything.
          if (verdict.kind === 'elsewhere') this.#forgetCarried();
          if (isSure) this.outcome[verdict.kind] = here;
          else this.outcome[verdict.kind] ??= here;
          mayEnd = true;
          if (isSure) return { mayEnd, mayPass: escaped };
          certain = false;
          break;
        case 'return':
          if (isSure) return { mayEnd, mayPass: true };
          escaped = true;
          certain = false;
          break;
        case 'jump':
        case 'goto': {
          const target = { ...place, chain: verdict.chain };
          const passage = await this.followChain(target, certain && isSure, depth + 1);
          mayEnd ||= passage.mayEnd;
          if (verdict.kind === 'goto') {
            if (isSure) return { mayEnd, mayPass: escaped || passage.mayPass };
            escaped ||= passage.mayPass;
            certain = false;
          } else if (isSure && !passage.mayPass) return { mayEnd, mayPass: escaped };
          else if (passage.mayEnd) certain = false;
          break;
        }
      }
    }
    return { mayEnd, mayPass: true };
  }

  async #followRule(
    rule: ChainRule,
    isCertain: boolean,
  ): Promise<{ answer: Answer; verdict: Verdict | undefined; sets: readonly string[] }> {
    const registers = new Registers();
    const sets: string[] = [];
    let answer: Answer = 'yes';
    for (const expression of rule.expressions) {
      const step = await this.#followExpression(expression, registers, rule, isCertain && answer === 'yes');
      if (step.set !== undefined) sets.push(step.set);
      if (step.answer === 'no') return { answer: 'no', verdict: undefined, sets };
      if (step.answer === 'maybe') answer = 'maybe';
      if (step.verdict !== undefined) return { answer, verdict: step.verdict, sets };
    }
    return { answer, verdict: undefined, sets };
  }

  async #followExpression(
    expression: Expression,
    registers: Registers,
    rule: ChainRule,
    isCertain: boolean,
  ): Promise<Step> {
    const carried = this.#carried;
    switch (expression.kind) {
      case 'payload':
      case 'meta':
      case 'ct':
      case 'fib': {
        const loaded = this.#load(expression);
        if (loaded === notThere) return { answer: 'no' };
        registers.put(expression.to, loaded);
        return goesOn;
      }
      case 'set meta':
        if (expression.key === 3) this.#setMark(registers.take(expression.from, 4), isCertain);
        return goesOn;
      case 'set ct':
        if (expression.key === 3)
          carried.connectionMark = isCertain
            ? registers.take(expression.from, 4)
            : common(carried.connectionMark, registers.take(expression.from, 4));
        return goesOn;
      case 'compare': {
        const { operator, data, from } = expression;
        return { answer: compares(registers.take(from, data.length), operator, data) };
      }
      case 'range':
        return { answer: lies(registers.take(expression.from, expression.low.length), expression) };
      case 'mask': {
        const { from, to, mask, xor } = expression;
        registers.put(to, masked(registers.take(from, mask.length), mask, xor));
        return goesOn;
      }
      case 'byte order': {
        const { from, to, length, size } = expression;
        registers.put(to, swapped(registers.take(from, length), size));
        return goesOn;
      }
      case 'lookup':
        return this.#lookUp(expression, registers, rule.place);
      case 'data':
        registers.put(expression.to, allKnown(expression.data));
        return goesOn;
      case 'verdict':
        return { answer: 'yes', verdict: expression.verdict };
      case 'translate':
        return this.#translate(expression.what, rule, expression.to, registers);
      case 'match':
        return {
          answer: matchXtables(expression.match, this.#packet, this.#station, carried.mark, this.#tracking()),
        };
      case 'target':
        return this.#followTarget(expression.target, registers, rule, isCertain);
      case 'untrack':
        // After this point it has no effect.
        if (trackingAt(this.#station, this.#base.priority, false) === 'not yet')
          carried.mayBeUntracked = true;
        return goesOn;
      case 'update':
        carried.changedSets.add(setKey(rule.place, expression.set));
        return { answer: expression.isCertain ? 'yes' : 'maybe' };
      case 'rewrite':
        this.outcome.rewritten ??= { place: rule.place, rule, sets: [] };
        return { answer: 'yes', verdict: { kind: 'accept' } };
      case 'no matter':
        return goesOn;
      case 'value not understood':
        registers.forget();
        return goesOn;
      case 'not understood':
        registers.forget();
        return { answer: 'maybe' };
    }
  }

  /** Returns the value that an expression reads from the packet, its connection or the routing table. */
  #load(expression: Extract<Expression, { kind: 'payload' | 'meta' | 'ct' | 'fib' }>): Loaded {
    const [packet, station] = [this.#packet, this.#station];
    switch (expression.kind) {
      case 'payload':
        return payload(packet, station, expression.base, expression.offset, expression.length);
      case 'meta':
        return meta(packet, station, expression.key, this.#carried.mark);
      case 'ct':
        return expression.hasDirection
          ? unknownBytes(16)
          : connection(packet, station, this.#tracking(), expression.key, this.#carried.connectionMark);
      case 'fib':
        return fib(packet, station, expression.result, expression.flags);
    }
  }

  async #lookUp(
    { from, set, isInverted, to }: Extract<Expression, { kind: 'lookup' }>,
    registers: Registers,
    place: Place,
  ): Promise<Step> {
    const found = await this.#ruleset.lookUp(place, set, registers.take(from, registerBytes - from * 4));
    const now = this.#carried.changedSets.has(setKey(place, set)) ? 'maybe' : found.answer;
    if (to !== undefined && found.data !== undefined && now === 'yes')
      registers.put(to, allKnown(found.data));
    else if (to !== undefined) registers.forget();
    const answer = isInverted ? negated(now) : now;
    return { answer, set, ...(found.verdict === undefined ? {} : { verdict: found.verdict }) };
  }

  #followTarget(target: XtablesTarget, registers: Registers, rule: ChainRule, isCertain: boolean): Step {
    switch (target.kind) {
      case 'verdict':
        return { answer: 'yes', verdict: target.verdict };
      case 'translate':
        return this.#translate(target.what, rule, undefined, registers);
      case 'mark': {
        const bytes = (value: number) => hostNumber(value).bytes;
        this.#setMark(masked(this.#carried.mark, bytes(~target.mask), bytes(target.value)), isCertain);
        return goesOn;
      }
      case 'mark not understood':
        this.#forgetMarks();
        return goesOn;
      case 'no matter':
        return goesOn;
      case 'not understood':
        this.outcome.rewritten ??= { place: rule.place, rule, sets: [] };
        return { answer: 'maybe', verdict: { kind: 'elsewhere', name: target.name } };
      case 'doubtful':
        // It is also unknown whether the packet continues with the next rule.
        return { answer: 'maybe', verdict: { kind: 'elsewhere', name: target.name } };
    }
  }

  #tracking() {
    return trackingAt(this.#station, this.#base.priority, this.#carried.mayBeUntracked);
  }

  /** The packet has another address from here on, and leaves the chain. */
  #translate(
    what: 'source' | 'destination',
    rule: ChainRule,
    to: number | undefined,
    registers: Registers,
  ): Step {
    // Translates to the address that the packet has already. The guard does this to prevent another translation.
    const isKept =
      what === 'source' &&
      to !== undefined &&
      this.#packet.isTranslated !== true &&
      equals(registers.take(to, 4), this.#packet.source) === 'yes';
    if (isKept) this.#carried.isSourceSettled = true;
    else this.outcome[what] ??= { place: rule.place, rule, sets: [] };
    return { answer: 'yes', verdict: { kind: 'accept' } };
  }

  #forgetMarks(): void {
    this.#carried.mark = unknownBytes(4);
    this.#carried.connectionMark = unknownBytes(4);
  }

  #forgetCarried(): void {
    this.#forgetMarks();
    this.#carried.mayBeUntracked = true;
  }

  #setMark(mark: KnownBits, isCertain: boolean): void {
    this.#carried.mark = isCertain ? mark : common(this.#carried.mark, mark);
  }
}

const setKey = ({ family, table }: Place, set: string) => `${family} ${table} ${set}`;

/** The registers that a rule's expressions use: 16 words of 4 bytes. */
class Registers {
  #held = unknownBytes(registerBytes);

  put(at: number, { bytes, known }: KnownBits): void {
    const next = { bytes: Uint8Array.from(this.#held.bytes), known: Uint8Array.from(this.#held.known) };
    const room = registerBytes - at * 4;
    next.bytes.set(bytes.subarray(0, room), at * 4);
    next.known.set(known.subarray(0, room), at * 4);
    // The kernel fills the rest of a word with zeros.
    const end = Math.min(registerBytes, at * 4 + bytes.length);
    const wordEnd = Math.min(registerBytes, (end + 3) & ~3);
    next.bytes.fill(0, end, wordEnd);
    next.known.fill(0xff, end, wordEnd);
    this.#held = next;
  }

  take(at: number, length: number): KnownBits {
    return slice(this.#held, at * 4, length);
  }

  /** Nothing about these registers is known any more. */
  forget(): void {
    this.#held = unknownBytes(registerBytes);
  }
}

function compares(
  value: KnownBits,
  operator: '==' | '!=' | '<' | '<=' | '>' | '>=',
  data: Uint8Array,
): Answer {
  switch (operator) {
    case '==':
      return equals(value, data);
    case '!=':
      return negated(equals(value, data));
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const order = compare(value, data);
      if (order === undefined) return 'maybe';
      const holds = { '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[operator];
      return holds ? 'yes' : 'no';
    }
  }
}

function lies(value: KnownBits, { low, high, isInside }: Extract<Expression, { kind: 'range' }>): Answer {
  const [toLow, toHigh] = [compare(value, low), compare(value, high)];
  if (toLow === undefined || toHigh === undefined) return 'maybe';
  return (toLow >= 0 && toHigh <= 0) === isInside ? 'yes' : 'no';
}
