import type { ListedFlow, Rule } from '../rule/rule.ts';
import type { ChainWork } from './chain-work.ts';
import { createExpectedRules, type ExpectedRules } from './expected-rules.ts';
import { createMirror, type Mirror } from './mirror.ts';
import type { NftEvent, RulePlace } from './monitor/nft-event.ts';
import type { Taken } from './plane.ts';
import { createVanished, type Vanished } from './vanished.ts';

export interface HandledChainOptions {
  place: Omit<RulePlace, 'handle'>;
  /** Returns the key that identifies an announced rule among the rules being added. */
  keyOf(rule: Rule): string;
  /** Returns the announced rule. @param expectedRules returns the rule being added under a key */
  recognise(flow: ListedFlow, expectedRules: (key: string) => Rule | undefined): Rule | undefined;
}

/** An allow chain in nf_tables. Each rule has a handle, which the kernel announces when the rule is added or deleted. */
export class HandledChain {
  /** The rules that disappeared together with the chain. */
  readonly vanished: Vanished;
  readonly #options: HandledChainOptions;
  readonly #expectedRules: ExpectedRules;
  #mirror: Mirror | undefined;
  /** The first rule of a chain that is being written again, and whether its removal was announced. */
  #firstOfAnew: { handle: number; isGone: boolean } | undefined;

  constructor(options: HandledChainOptions) {
    this.#options = options;
    this.#expectedRules = createExpectedRules(options.keyOf);
    this.vanished = createVanished(() => [...(this.#mirror?.rules.values() ?? [])].map(({ rule }) => rule));
  }

  /** The chain's content. Undefined when this host has no such table. */
  get mirror(): Mirror | undefined {
    return this.#mirror;
  }

  /** Replaces what is known by a listing. Forgets expected announcements. */
  adopt(found: Mirror | undefined): void {
    if (this.#mirror?.exists === true && found?.exists !== true) this.vanished.all();
    this.#expectedRules.clear();
    this.#firstOfAnew = undefined;
    this.#mirror = found;
  }

  /** Applies an announcement of the kernel. */
  take(event: NftEvent): Taken {
    switch (event.kind) {
      case 'transaction':
        this.vanished.transactionEnded();
        return 'elsewhere';
      case 'gone': {
        const { family, table, name } = event.what;
        const { place } = this.#options;
        if (family !== place.family || table !== place.table) return 'elsewhere';
        if (name === undefined || name === place.chain) this.vanished.all();
        return 'unclear';
      }
      case 'rule added':
        return this.#isHere(event.place) ? this.#takeAdded(event.place.handle, event.flow) : 'elsewhere';
      case 'rule deleted':
        return this.#isHere(event.place) ? this.#takeDeleted(event.place.handle) : 'elsewhere';
      case 'gap':
      case 'structure':
        return 'unclear';
      case 'element added':
      case 'element deleted':
      case 'elsewhere':
      case 'caught up':
        return 'elsewhere';
    }
  }

  /** Whether the rule's handle is known, or the rule is not in the chain. */
  canRemove(rule: Rule): boolean {
    return this.#mirror?.has(rule.id) !== true || this.#isPlaced(rule);
  }

  /** Called before the work is done: from now on it may be announced. */
  expect({ add, remove, anew }: ChainWork): void {
    if (anew === undefined) {
      for (const rule of add) this.#expectedRules.add(rule);
      return;
    }
    const [handle] = remove;
    this.#firstOfAnew = typeof handle === 'number' ? { handle, isGone: false } : undefined;
    // Rules that stay get new handles too.
    const mirror = createMirror(true);
    this.#mirror = mirror;
    for (const rule of anew) {
      this.#expectedRules.add(rule);
      mirror.expect(rule);
    }
  }

  /**
   * Whether the first removal of the work was announced, or the first addition where nothing is removed. The whole
   * transaction is in the kernel then.
   *
   * @param which the part that one transaction does, since iptables and nft may each do a part of the work
   */
  isAnnounced({ add, remove, anew }: ChainWork, which: 'additions' | 'removals' | 'all'): boolean {
    if (anew !== undefined) return this.#firstOfAnew?.isGone ?? false;
    const [added] = add;
    const [removed] = remove;
    if (which !== 'additions' && removed !== undefined) return this.#mirror?.holds(removed) !== true;
    return added === undefined || this.#isPlaced(added);
  }

  /** Called when the work is known to be done, although not all of it may have been announced. */
  settle({ add, remove, anew }: ChainWork): void {
    const mirror = this.#mirror;
    if (mirror === undefined) return;
    if (add.length > 0) mirror.exists = true;
    if (anew !== undefined) return;
    // A rule whose announcement was applied may have been removed by another program since.
    for (const rule of this.#expectedRules.rest()) mirror.expect(rule);
    for (const place of remove) mirror.drop(place);
  }

  #isHere({ family, table, chain }: RulePlace): boolean {
    const { place } = this.#options;
    return family === place.family && table === place.table && chain === place.chain;
  }

  #isPlaced(rule: Rule): boolean {
    return (this.#mirror?.rules.get(rule.id)?.places.length ?? 0) > 0;
  }

  #takeAdded(handle: number, flow: ListedFlow | undefined): Taken {
    const mirror = this.#mirror;
    if (mirror === undefined) return 'unclear';
    if (mirror.holds(handle)) return 'taken';
    const rule = flow === undefined ? undefined : this.#options.recognise(flow, this.#expectedRules.take);
    if (rule === undefined) return 'unclear';
    mirror.put(handle, { kind: 'rule', rule });
    return 'taken';
  }

  #takeDeleted(handle: number): Taken {
    if (this.#firstOfAnew?.handle === handle) this.#firstOfAnew.isGone = true;
    const rule = this.#mirror?.drop(handle);
    if (rule !== undefined) this.vanished.went(rule);
    return 'taken';
  }
}
