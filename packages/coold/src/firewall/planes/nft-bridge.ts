import { bridgeChain, bridgePlace, bridgeTable } from '../rule/nft-rule.ts';
import { commentOf, recognise } from '../rule/rule.ts';
import { type ChainWork, chainWork } from './chain-work.ts';
import { HandledChain } from './handled-chain.ts';
import { flowKey } from './iptables-plane.ts';
import type { Mirror } from './mirror.ts';
import { bridgeAdditions, deletions, flushed, listBridge } from './nft-plane.ts';
import type { Plane } from './plane.ts';

export interface BridgedPlane extends Plane {
  /** Undefined on a permissive host, which has no bridged plane (docs/contract.md §4). */
  readonly mirror: Mirror | undefined;
}

/**
 * The bridged plane, which only nft changes.
 *
 * @param many with at least this many removals the chain may be written again
 */
export function createNftBridge(many: number): BridgedPlane {
  const handled = new HandledChain({
    place: { family: 'bridge', table: bridgeTable, chain: bridgeChain },
    keyOf: commentOf,
    // Uses the object of the rule being added, because there are thousands.
    recognise(flow, expectedRules) {
      const added = expectedRules(flow.comment);
      return added !== undefined && flowKey(added) === flowKey(flow) ? added : recognise(flow);
    },
  });
  const nothing: ChainWork = { add: [], remove: [], anew: undefined };

  function* script({ add, remove, anew }: ChainWork, exists: boolean): Generator<string> {
    if (anew !== undefined) yield flushed(bridgePlace);
    else
      yield* deletions(
        bridgePlace,
        remove.filter(place => typeof place === 'number'),
      );
    yield* bridgeAdditions(anew ?? add, exists);
  }

  return {
    name: 'nft',
    program: 'nft',
    isAnnounced: true,
    get mirror() {
      return handled.mirror;
    },
    async read(look) {
      const found = await listBridge(look);
      return () => handled.adopt(found);
    },
    take: event => handled.take(event),
    canRemove: rule => handled.canRemove(rule),
    plan(changes) {
      const { mirror } = handled;
      const work = mirror === undefined ? nothing : chainWork(changes, 'nft', mirror, many);
      const isNeeded = work.add.length + work.remove.length > 0;
      return {
        adds: work.add.length,
        removes: work.remove.length,
        command: undefined,
        script: isNeeded
          ? {
              work: () => script(work, mirror?.exists ?? true),
              isAnnounced: () => handled.isAnnounced(work, 'all'),
            }
          : undefined,
        expect: () => handled.expect(work),
        settle: () => handled.settle(work),
      };
    },
    trial: forms => ({
      command: undefined,
      script: handled.mirror === undefined ? [] : bridgeAdditions(forms, handled.mirror.exists),
    }),
    hasVanished: rule => handled.vanished.has(rule.id),
    isAnyVanished: handled.vanished.isAny,
    forgetVanished() {
      if (handled.mirror?.exists === true) handled.vanished.forget();
    },
  };
}
