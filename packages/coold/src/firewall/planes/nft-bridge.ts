import { flowKey } from '../iptables-plane.ts';
import type { Mirror } from '../mirror.ts';
import { bridgeAdditions, deletions, flushed, listBridge } from '../nft-plane.ts';
import { bridgeChain, bridgePlace, bridgeTable } from '../nft-rule.ts';
import { commentOf, recognise } from '../rule.ts';
import { type ChainWork, chainWork } from './chain-work.ts';
import { createHandledChain } from './handled-chain.ts';
import type { Plane } from './plane.ts';

export interface BridgedPlane extends Plane {
  /** Undefined: a permissive host, which has no bridged plane (docs/contract.md §4). */
  readonly mirror: Mirror | undefined;
}

/**
 * The bridged plane, which is nft's alone.
 *
 * @param many from so many rules that go on, the chain may be written anew
 */
export function createNftBridge(many: number): BridgedPlane {
  const handled = createHandledChain({
    place: { family: 'bridge', table: bridgeTable, chain: bridgeChain },
    keyOf: commentOf,
    // The object of those that we are adding, for there are thousands.
    recognise(flow, awaited) {
      const added = awaited(flow.comment);
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
    canRemove: handled.canRemove,
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
    forgetVanished: handled.vanished.forget,
  };
}
