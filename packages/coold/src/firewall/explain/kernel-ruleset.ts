import {
  attribute,
  attributesOf,
  handleAttribute,
  headOf,
  listOf,
  nestedAttribute,
  nfTablesHead,
  numberAttribute,
  numberOf,
  textAttribute,
  textOf,
} from '../netlink/netlink.ts';
import { NetlinkError, type NetlinkSocket } from '../netlink/netlink-socket.ts';
import { readGeneration } from '../netlink/read-generation.ts';
import { areCounters, dataOf, readVerdict } from './kernel/expressions.ts';
import {
  type BaseChain,
  type ChainRule,
  families,
  namesOthers,
  type Place,
  readBaseChain,
  readChainRule,
} from './kernel/rules.ts';
import type { Found, Ruleset } from './packet/evaluate.ts';
import { type Answer, equals, isKnown, type KnownBits, slice } from './packet/known-bits.ts';

/** nf_tables message types of linux/netfilter/nf_tables.h. */
const ask = { tables: 1, chains: 4, rules: 7, set: 10, elements: 13 } as const;
const dormant = 1;
const setFlags = { interval: 4, map: 8 } as const;
const elementFlags = { intervalEnd: 1, catchAll: 2 } as const;
const wrongQuestion = 22;
const verdictType = 0xffffff00;

/**
 * Tells where to find rules in chains of thousands, because listing such a chain takes the kernel too long for an
 * interactive answer.
 */
export interface RuleIndex {
  /**
   * Returns the handles of a chain's rules that may match between two addresses, so that the kernel is asked for each
   * of them. Returns undefined when they are not known; the caller then lists the whole chain.
   *
   * @param generation the index must be of this generation, or of a later one, since the caller then reads again
   */
  handles(
    place: Place,
    source: Buffer,
    destination: Buffer,
    generation: number,
  ): Promise<readonly number[] | undefined>;
}

/** Has no index: every chain is listed. */
export const noIndex: RuleIndex = { handles: async () => undefined };

interface SetFacts {
  keyLength: number;
  isInterval: boolean;
  isMap: boolean;
  isVerdictMap: boolean;
}

/** The rules of nf_tables between two addresses, which includes what iptables-nft makes. */
export class KernelRuleset implements Ruleset {
  readonly #socket: NetlinkSocket;
  readonly #source: Buffer;
  readonly #destination: Buffer;
  readonly #index: RuleIndex;
  readonly #read = new Map<string, Promise<readonly ChainRule[]>>();
  readonly #sets = new Map<string, SetFacts | undefined>();
  #torn = false;

  /** @param source an address of four bytes, like `destination`; rules for other addresses are dropped while reading */
  constructor(socket: NetlinkSocket, source: Buffer, destination: Buffer, index: RuleIndex = noIndex) {
    this.#socket = socket;
    this.#source = source;
    this.#destination = destination;
    this.#index = index;
  }

  /** Returns a number that differs whenever a program has changed a rule, chain, set or element. */
  generation(): number | undefined {
    return readGeneration(this.#socket);
  }

  /** Whether the parts that were read may be of different moments. */
  isTorn(): boolean {
    return this.#torn;
  }

  /** Returns the base chains. Dormant tables have none. */
  async baseChains(): Promise<readonly BaseChain[]> {
    const asleep = new Set<string>();
    const tables = await this.#socket.dump(ask.tables, [headOf(0)], ({ body }) => {
      const family = body[0] ?? 0;
      const { 1: name, 2: flags } = Object.fromEntries(attributesOf(body.subarray(nfTablesHead)));
      if (((numberOf(flags) ?? 0) & dormant) !== 0) asleep.add(`${family} ${textOf(name)}`);
    });
    const found: BaseChain[] = [];
    const chains = await this.#socket.dump(ask.chains, [headOf(0)], ({ body }) => {
      const family = body[0] ?? 0;
      const chain = readBaseChain(family, body.subarray(nfTablesHead));
      if (chain !== undefined && !asleep.has(`${family} ${chain.table}`)) found.push(chain);
    });
    this.#torn ||= tables.interrupted || chains.interrupted;
    return found;
  }
  rules(place: Place, isTranslated: boolean): Promise<readonly ChainRule[]> {
    const key = `${place.family} ${place.table} ${place.chain} ${isTranslated}`;
    const known = this.#read.get(key) ?? this.#readRules(place, isTranslated);
    this.#read.set(key, known);
    return known;
  }

  async lookUp(place: Place, name: string, whole: KnownBits): Promise<Found> {
    const facts = this.#factsOf(place, name);
    if (facts === undefined || place.family === 'legacy') return { answer: 'maybe' };
    const family = families[place.family];
    const key = slice(whole, 0, facts.keyLength);
    const asked = [textAttribute(1, place.table), textAttribute(2, name)];
    if (!isKnown(key)) return this.#lookUpPartly(facts, family, asked, key, name);
    const element = nestedAttribute(1, nestedAttribute(1, attribute(1, key.bytes)));
    const own = this.#askOne(ask.elements, family, [...asked, nestedAttribute(3, element)]);
    const found = own === undefined ? undefined : foundIn(facts, own);
    if (found !== undefined && found.answer !== 'no') return found;
    const other = this.#catchAllOf(family, asked);
    return other === undefined ? { answer: 'no' } : foundIn(facts, other);
  }

  /** Searches all elements of a set for a key of which some bits are not known. */
  async #lookUpPartly(
    facts: SetFacts,
    family: number,
    asked: readonly Buffer[],
    key: KnownBits,
    name: string,
  ): Promise<Found> {
    let answer: Answer = 'no';
    const { interrupted } = await this.#socket.dump(ask.elements, [headOf(family), ...asked], ({ body }) => {
      if (answer === 'no' && mayHave(facts, body.subarray(nfTablesHead), key)) answer = 'maybe';
    });
    this.#torn ||= interrupted;
    // Where several elements may match, a map may give several answers.
    return answer !== 'no' && facts.isVerdictMap
      ? { answer, verdict: { kind: 'elsewhere', name: `map ${name}` } }
      : { answer };
  }

  /** Reads each rule by its handle. Returns undefined when a rule is missing, or other rules may decide first. */
  async #readByHandles(place: Place): Promise<readonly ChainRule[] | undefined> {
    const { family, table, chain } = place;
    const now = this.generation();
    if (family === 'legacy' || now === undefined) return undefined;
    const rules: ChainRule[] = [];
    for (const handle of (await this.#index.handles(place, this.#source, this.#destination, now)) ?? [
      undefined,
    ]) {
      if (handle === undefined) return undefined;
      const asked = [textAttribute(1, table), textAttribute(2, chain), handleAttribute(3, handle)];
      const found = this.#askOne(ask.rules, families[family], asked);
      if (found === undefined) return undefined;
      if (!namesOthers(found, this.#source, this.#destination)) rules.push(readChainRule(family, found));
    }
    // The order of these rules is not known. It does not matter when all of them accept.
    const isOrderless = rules.every(({ expressions }) => {
      const last = expressions.at(-1);
      return last?.kind === 'verdict' && last.verdict.kind === 'accept';
    });
    return isOrderless || rules.length < 2 ? rules : undefined;
  }

  async #readRules(place: Place, isTranslated: boolean): Promise<readonly ChainRule[]> {
    const { family, table, chain } = place;
    if (family === 'legacy') return [];
    const indexed = isTranslated ? undefined : await this.#readByHandles(place);
    if (indexed !== undefined) return indexed;
    const rules: ChainRule[] = [];
    const asked = [textAttribute(1, table), textAttribute(2, chain)];
    const { interrupted } = await this.#socket.dump(
      ask.rules,
      [headOf(families[family]), ...asked],
      message => {
        const body = message.body.subarray(nfTablesHead);
        if (namesOthers(body, isTranslated ? undefined : this.#source, this.#destination)) return;
        const rule = readChainRule(family, body);
        // Older kernels list the whole table.
        if (rule.place.table === table && rule.place.chain === chain) rules.push(rule);
      },
    );
    this.#torn ||= interrupted;
    return rules;
  }

  #factsOf(place: Place, name: string): SetFacts | undefined {
    if (place.family === 'legacy') return undefined;
    const key = `${place.family} ${place.table} ${name}`;
    if (!this.#sets.has(key)) {
      const asked = [textAttribute(1, place.table), textAttribute(2, name)];
      this.#sets.set(key, readSet(this.#askOne(ask.set, families[place.family], asked)));
    }
    return this.#sets.get(key);
  }

  /** Reads a set's catch-all element. Older kernels have no such elements and refuse the question. */
  #catchAllOf(family: number, asked: readonly Buffer[]): Buffer | undefined {
    const element = nestedAttribute(1, numberAttribute(3, elementFlags.catchAll));
    try {
      return this.#askOne(ask.elements, family, [...asked, nestedAttribute(3, element)]);
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === wrongQuestion) return undefined;
      throw error;
    }
  }

  /** Returns the attributes of one object, or undefined when it does not exist. */
  #askOne(type: number, family: number, asked: readonly Buffer[]): Buffer | undefined {
    return this.#socket.get(type, [headOf(family), ...asked])?.body.subarray(nfTablesHead);
  }
}

function readSet(body: Buffer | undefined): SetFacts | undefined {
  if (body === undefined) return undefined;
  const { 3: flags, 5: keyLength, 6: dataType } = Object.fromEntries(attributesOf(body));
  const length = numberOf(keyLength);
  if (length === undefined) return undefined;
  const bits = numberOf(flags) ?? 0;
  const isMap = (bits & setFlags.map) !== 0;
  return {
    keyLength: length,
    isInterval: (bits & setFlags.interval) !== 0,
    isMap,
    isVerdictMap: isMap && numberOf(dataType) === verdictType,
  };
}

const elementsOf = (body: Buffer) =>
  listOf(attributesOf(body).get(3) ?? Buffer.alloc(0)).map(element =>
    Object.fromEntries(attributesOf(element)),
  );

function foundIn({ isMap, isVerdictMap }: SetFacts, body: Buffer): Found {
  const [element] = elementsOf(body);
  if (element === undefined) return { answer: 'no' };
  if (((numberOf(element[3]) ?? 0) & elementFlags.intervalEnd) !== 0) return { answer: 'no' };
  // For example a limit that belongs to the element and may end the rule.
  const answer = areCounters(element[7], element[11]) ? 'yes' : 'maybe';
  if (!isMap) return { answer };
  const data = element[2];
  if (!isVerdictMap) {
    const value = dataOf(data);
    return value === undefined ? { answer } : { answer, data: value };
  }
  const inside = data === undefined ? undefined : attributesOf(data).get(2);
  const verdict = inside === undefined ? undefined : readVerdict(inside);
  return { answer, verdict: verdict ?? { kind: 'elsewhere', name: 'map' } };
}

/** Whether one of these elements may match the key, of which some bits are not known. */
function mayHave({ isInterval }: SetFacts, body: Buffer, key: KnownBits): boolean {
  const elements = listOf(attributesOf(body).get(3) ?? Buffer.alloc(0));
  if (isInterval) return elements.length > 0;
  return elements.some(element => {
    const value = dataOf(attributesOf(element).get(1));
    // The catch-all element has no key.
    return value === undefined || equals(key, value) !== 'no';
  });
}
