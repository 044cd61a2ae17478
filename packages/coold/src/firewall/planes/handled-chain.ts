import { createAwaited } from '../awaited.ts';
import { createMirror, type Mirror } from '../mirror.ts';
import type { NftEvent, RulePlace } from '../nft-event.ts';
import type { ListedFlow, Rule } from '../rule.ts';
import type { ChainWork } from './chain-work.ts';
import type { Taken } from './plane.ts';
import { createVanished, type Vanished } from './vanished.ts';

/** An allow chain in nf_tables: each rule has a handle, which the kernel announces when it comes or goes. */
export interface HandledChain {
  /** Undefined: there is no table for it on this host. */
  readonly mirror: Mirror | undefined;
  /** What was found is what stands; nothing is awaited any more. */
  adopt(found: Mirror | undefined): void;
  take(event: NftEvent): Taken;
  canRemove(rule: Rule): boolean;
  /** Called before the work is done. */
  expect(work: ChainWork): void;
  /** Whether the first of what is added was announced; or of what goes. */
  isAnnounced(work: ChainWork, which: 'additions' | 'removals' | 'all'): boolean;
  /** Called when the work is known to be done. */
  settle(work: ChainWork): void;
  readonly vanished: Vanished;
}

export interface HandledChainOptions {
  place: Omit<RulePlace, 'handle'>;
  /** By what an announced rule is found among those that are being added. */
  keyOf(rule: Rule): string;
  /** The rule that was announced, given the one that was awaited under its key. */
  recognise(flow: ListedFlow, awaited: (key: string) => Rule | undefined): Rule | undefined;
}

export function createHandledChain({ place, keyOf, recognise }: HandledChainOptions): HandledChain {
  let mirror: Mirror | undefined;
  const awaited = createAwaited(keyOf);
  const vanished = createVanished(() => [...(mirror?.rules.values() ?? [])].map(({ rule }) => rule));
  /** A rule of a chain that is written anew, and whether it was announced that it went. */
  let first: { handle: number; isGone: boolean } | undefined;

  const isOurs = ({ family, table, chain }: Omit<RulePlace, 'handle'>) =>
    family === place.family && table === place.table && chain === place.chain;
  const isPlaced = (rule: Rule) => (mirror?.rules.get(rule.id)?.places.length ?? 0) > 0;

  function takeAdded(handle: number, flow: ListedFlow | undefined): Taken {
    if (mirror === undefined) return 'unclear';
    if (mirror.holds(handle)) return 'taken';
    const rule = flow === undefined ? undefined : recognise(flow, awaited.take);
    if (rule === undefined) return 'unclear';
    mirror.put(handle, { kind: 'rule', rule });
    return 'taken';
  }

  function takeDeleted(handle: number): Taken {
    if (first?.handle === handle) first.isGone = true;
    const rule = mirror?.drop(handle);
    if (rule !== undefined) vanished.went(rule);
    return 'taken';
  }

  return {
    get mirror() {
      return mirror;
    },
    adopt(found) {
      if (mirror?.exists === true && found?.exists !== true) vanished.all();
      awaited.clear();
      first = undefined;
      mirror = found;
    },
    take(event) {
      switch (event.kind) {
        case 'transaction':
          vanished.transactionEnded();
          return 'elsewhere';
        case 'gone': {
          const { family, table, name } = event.what;
          if (family !== place.family || table !== place.table) return 'elsewhere';
          if (name === undefined || name === place.chain) vanished.all();
          return 'unclear';
        }
        case 'rule added':
          return isOurs(event.place) ? takeAdded(event.place.handle, event.flow) : 'elsewhere';
        case 'rule deleted':
          return isOurs(event.place) ? takeDeleted(event.place.handle) : 'elsewhere';
        case 'gap':
        case 'structure':
          return 'unclear';
        case 'element added':
        case 'element deleted':
        case 'elsewhere':
        case 'caught up':
          return 'elsewhere';
      }
    },
    canRemove: rule => mirror?.has(rule.id) !== true || isPlaced(rule),
    expect({ add, remove, anew }) {
      if (anew === undefined) {
        for (const rule of add) awaited.add(rule);
        return;
      }
      const [handle] = remove;
      first = typeof handle === 'number' ? { handle, isGone: false } : undefined;
      // Every rule that stays gets another handle, too.
      mirror = createMirror(true);
      for (const rule of anew) {
        awaited.add(rule);
        mirror.expect(rule);
      }
    },
    isAnnounced({ add, remove, anew }, which) {
      if (anew !== undefined) return first?.isGone ?? false;
      const [added] = add;
      const [removed] = remove;
      if (which !== 'additions' && removed !== undefined) return mirror?.holds(removed) !== true;
      return added === undefined || isPlaced(added);
    },
    settle({ add, remove, anew }) {
      if (mirror === undefined) return;
      if (add.length > 0) mirror.exists = true;
      if (anew !== undefined) return;
      // What was announced already may have been taken by somebody since.
      for (const rule of awaited.rest()) mirror.expect(rule);
      for (const place of remove) mirror.drop(place);
    },
    vanished,
  };
}
