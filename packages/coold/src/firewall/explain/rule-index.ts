import { setTimeout as delay } from 'node:timers/promises';
import { pause } from '@coold/runtime';
import type { Announcements, OpenAnnouncements } from '../netlink/announcements.ts';
import {
  eachAttribute,
  headOf,
  type NetlinkMessage,
  nfTablesHead,
  textAttribute,
} from '../netlink/netlink.ts';
import type { NetlinkSocket, OpenNetlink } from '../netlink/netlink-socket.ts';
import { generationIn, nextGeneration, readGeneration } from '../netlink/read-generation.ts';
import { allowPlaces } from './assumed-rule.ts';
import { families, familyOf, type NamedEnds, namedEnds, type Place } from './kernel/rules.ts';
import type { RuleIndex } from './kernel-ruleset.ts';

/** Message types of linux/netfilter/nf_tables.h, with netfilter's subsystem number. */
const [newRule, deletedRule, newGeneration, getRule] = [0xa06, 0xa08, 0xa0f, 7];
/**
 * The kernel finds a rule by searching its chain from the beginning, so some hundred look-ups cost as much as listing
 * the chain.
 */
const mostHandles = 100;
/** The kernel announces a transaction some time after it takes effect: about 100 ms for 20,000 rules. */
const announcedMs = 200;
const askEveryMs = 2;
/** How often announcements are read from the socket, so that the kernel does not have to buffer them. In ms. */
const takeEveryMs = 1000;
/** How long after a failure the index is built again, in ms. */
const afterFailureMs = 60_000;
/** Attempts to list the rules, because they may change meanwhile. */
const listings = 3;

/** The handles of one chain's rules. */
export class ChainIndex {
  /** Handles by source and destination. */
  readonly #between = new Map<string, number[]>();
  readonly #keys = new Map<number, string>();
  /** Rules that do not name two addresses and may match any packet. */
  readonly #others = new Set<number>();

  put(handle: number, { source, destination }: NamedEnds): void {
    this.drop(handle);
    if (source === undefined || destination === undefined) {
      this.#others.add(handle);
      return;
    }
    const key = endsKey(source, destination);
    this.#keys.set(handle, key);
    const known = this.#between.get(key);
    if (known === undefined) this.#between.set(key, [handle]);
    else known.push(handle);
  }

  drop(handle: number): void {
    this.#others.delete(handle);
    const key = this.#keys.get(handle);
    if (key === undefined) return;
    this.#keys.delete(handle);
    const left = this.#between.get(key)?.filter(other => other !== handle) ?? [];
    if (left.length === 0) this.#between.delete(key);
    else this.#between.set(key, left);
  }

  /**
   * Returns the handles of rules that may match between two addresses; undefined when they are too many to ask for one
   * by one.
   */
  handles(source: Buffer, destination: Buffer): readonly number[] | undefined {
    const own = this.#between.get(endsKey(source.readUInt32LE(0), destination.readUInt32LE(0))) ?? [];
    return own.length + this.#others.size > mostHandles ? undefined : [...this.#others, ...own];
  }
}

const endsKey = (source: number, destination: number) => `${source} ${destination}`;

type Event =
  | { kind: 'put'; chain: string; handle: number; ends: NamedEnds }
  | { kind: 'drop'; chain: string; handle: number };

/** The index, and the generation it belongs to. */
interface Known {
  generation: number;
  chains: ReadonlyMap<string, ChainIndex>;
}

/**
 * An index of the allow chains, from one listing and the kernel's announcements since. It only says where to look: the
 * rules themselves are read from the kernel. The kernel's generation tells whether the index is current. A lost
 * announcement makes it list the chains again.
 */
export class WatchedIndex implements RuleIndex {
  readonly #open: OpenNetlink;
  readonly #openAnnouncements: OpenAnnouncements;
  readonly #onFailure: (error: unknown) => void;
  readonly #places: ReadonlyMap<string, Place & { family: 'ip' | 'bridge' }>;
  #announcements: Announcements | undefined;
  /** Undefined until the chains are listed. */
  #known: Known | undefined;
  /** Events of a transaction whose end has not been announced yet. */
  #pending: Event[] = [];
  #taking: Promise<void> | undefined;
  #listing: Promise<void> | undefined;

  /**
   * @param chainName the allow chain in iptables
   *
   * @param onFailure is called when announcements cannot be followed; chains are then listed whole
   */
  constructor(
    open: OpenNetlink,
    openAnnouncements: OpenAnnouncements,
    chainName: string,
    onFailure: (error: unknown) => void,
  ) {
    this.#open = open;
    this.#openAnnouncements = openAnnouncements;
    this.#onFailure = onFailure;
    this.#places = new Map(allowPlaces(chainName).map(place => [keyOf(place), place]));
  }

  async handles(
    place: Place,
    source: Buffer,
    destination: Buffer,
    generation: number,
  ): Promise<readonly number[] | undefined> {
    try {
      const chain = await this.#chainAt(place, generation);
      return chain?.handles(source, destination);
    } catch (error) {
      this.#onFailure(error);
      return undefined;
    }
  }

  /** Keeps the index current until its signal aborts, so that questions do not wait for it. Never rejects. */
  async keep(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        await this.#take();
        if (this.#known === undefined) await this.#list();
        await pause(takeEveryMs, stop);
      } catch (error) {
        this.#onFailure(error);
        await pause(afterFailureMs, stop);
      }
    }
    // A question may still be reading from the socket. If it were closed now, its descriptor could be that of another
    // file.
    await this.#taking?.catch(() => {});
    this.#announcements?.[Symbol.dispose]();
    [this.#announcements, this.#known] = [undefined, undefined];
  }

  /** Returns the index of a chain at a generation; undefined when it is not an allow chain or has no index. */
  async #chainAt(place: Place, generation: number): Promise<ChainIndex | undefined> {
    const key = keyOf(place);
    if (!this.#places.has(key)) return undefined;
    await this.#take();
    if (this.#known === undefined) await this.#list();
    const latest = performance.now() + announcedMs;
    for (; performance.now() < latest; await delay(askEveryMs)) {
      await this.#take();
      // Something was lost meanwhile; the caller lists the chain.
      if (this.#known === undefined) return undefined;
      if (!isAfter(generation, this.#known.generation)) return this.#known.chains.get(key);
    }
    return undefined;
  }

  /** Reads announcements. One call at a time. */
  #take(): Promise<void> {
    this.#taking ??= this.#takeOnce().finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  async #takeOnce(): Promise<void> {
    let isWhole = false;
    try {
      this.#announcements ??= this.#openAnnouncements();
      isWhole = await this.#announcements.take(message => this.#hear(message));
    } finally {
      // What was read together with something unreadable is lost as well.
      if (!isWhole) [this.#known, this.#pending] = [undefined, []];
    }
  }

  #hear({ type, body }: NetlinkMessage): void {
    if (type === newGeneration) this.#endTransaction(generationIn(body));
    else if (type === newRule || type === deletedRule) {
      const rule = readPlaced(body);
      if (rule === undefined || !this.#places.has(rule.chain)) return;
      const { chain, handle, attributes } = rule;
      if (type === newRule) this.#pending.push({ kind: 'put', chain, handle, ends: namedEnds(attributes) });
      else this.#pending.push({ kind: 'drop', chain, handle });
    }
  }

  #endTransaction(generation: number | undefined): void {
    const [known, events] = [this.#known, this.#pending];
    this.#pending = [];
    if (known === undefined || generation === undefined || !isAfter(generation, known.generation)) return;
    if (generation !== nextGeneration(known.generation)) this.#known = undefined;
    else {
      for (const event of events) apply(event, known);
      this.#known = { ...known, generation };
    }
  }

  #list(): Promise<void> {
    this.#listing ??= this.#listAnew().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #listAnew(): Promise<void> {
    // Announcements from here on are later than the listing or in it; the generation tells which.
    await this.#take();
    using socket = this.#open('nf_tables');
    for (let left = listings; left > 0 && this.#known === undefined; left -= 1)
      this.#known = await this.#listOnce(socket);
  }

  async #listOnce(socket: NetlinkSocket): Promise<Known | undefined> {
    const generation = readGeneration(socket);
    if (generation === undefined) return undefined;
    const chains = new Map<string, ChainIndex>();
    for (const [key, place] of this.#places) {
      const index = new ChainIndex();
      chains.set(key, index);
      const asked = [textAttribute(1, place.table), textAttribute(2, place.chain)];
      const { interrupted } = await socket.dump(
        getRule,
        [headOf(families[place.family]), ...asked],
        ({ body }) => {
          const rule = readPlaced(body);
          // Older kernels list the whole table.
          if (rule?.chain === key) index.put(rule.handle, namedEnds(rule.attributes));
        },
      );
      if (interrupted) return undefined;
    }
    return readGeneration(socket) === generation ? { generation, chains } : undefined;
  }
}

const keyOf = ({ family, table, chain }: Place) => `${family} ${table} ${chain}`;

/** 32-bit numbers that wrap around. */
const isAfter = (generation: number, other: number) => ((generation - other) | 0) > 0;

function apply(event: Event, { chains }: Known): void {
  const chain = chains.get(event.chain);
  if (event.kind === 'put') chain?.put(event.handle, event.ends);
  else chain?.drop(event.handle);
}

/** Returns the place of a rule. Called for thousands of rules. */
function readPlaced(body: Buffer): { chain: string; handle: number; attributes: Buffer } | undefined {
  const family = familyOf(body[0] ?? 0);
  const attributes = body.subarray(nfTablesHead);
  let [table, chain] = ['', ''];
  let handle: number | undefined;
  eachAttribute(attributes, 0, attributes.length, (type, from, to) => {
    if (type === 1) table = attributes.toString('latin1', from, to - 1);
    if (type === 2) chain = attributes.toString('latin1', from, to - 1);
    if (type === 3 && to - from === 8) handle = Number(attributes.readBigUInt64BE(from));
  });
  if (family === undefined || handle === undefined) return undefined;
  return { chain: `${family} ${table} ${chain}`, handle, attributes };
}
