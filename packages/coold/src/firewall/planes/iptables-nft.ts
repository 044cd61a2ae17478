import { chainWork } from './chain-work.ts';
import { HandledChain } from './handled-chain.ts';
import { changeRouted, checkRouted, flowKey, listRouted, placeOf } from './iptables-plane.ts';
import { createMirror, type Mirror } from './mirror.ts';
import { deletions } from './nft-plane.ts';
import { proofChain } from './nft-proof.ts';
import type { Plane } from './plane.ts';

export interface RoutedPlane extends Plane {
  readonly mirror: Mirror;
}

/**
 * The routed plane where iptables uses nf_tables. iptables adds rules, because only it can write its comments; nft
 * deletes them by handle, in the transaction of the other planes.
 *
 * @param many with at least this many removals the chain may be written again
 */
export function createIptablesNft(chain: string, many: number): RoutedPlane {
  const handled = new HandledChain({
    place: { family: 'ip', table: 'filter', chain },
    keyOf: flowKey,
    // nft does not show the comment, so only rules that this process is adding can be told from others' rules.
    recognise: (flow, expectedRules) => expectedRules(flowKey(flow)),
  });
  handled.adopt(createMirror(false));
  const mirrorNow = () => handled.mirror ?? createMirror(false);
  return {
    name: 'iptables',
    program: 'iptables',
    isAnnounced: true,
    get mirror() {
      return mirrorNow();
    },
    async read(look) {
      const found = await listRouted(look, chain);
      return () => handled.adopt(found);
    },
    take: event => handled.take(event),
    canRemove: rule => handled.canRemove(rule),
    plan(changes) {
      const mirror = mirrorNow();
      const work = chainWork(changes, 'iptables', mirror, many);
      const { add, anew } = work;
      const handles = work.remove.filter(place => typeof place === 'number');
      const isCommand = anew !== undefined || add.length > 0;
      const isScript = anew === undefined && handles.length > 0;
      const change = { chain, exists: mirror.exists, add, remove: [], anew };
      return {
        adds: add.length,
        removes: work.remove.length,
        command: isCommand
          ? {
              work: run => changeRouted(run, change),
              provedWork: run => changeRouted(run, { ...change, proof: proofChain }),
              isAnnounced: () => handled.isAnnounced(work, 'additions'),
            }
          : undefined,
        script: isScript
          ? {
              work: () => deletions(placeOf(chain), handles),
              isAnnounced: () => handled.isAnnounced(work, 'removals'),
            }
          : undefined,
        expect: () => handled.expect(work),
        settle: () => handled.settle(work),
      };
    },
    trial: forms => ({ command: run => checkRouted(run, chain, mirrorNow().exists, forms), script: [] }),
    hasVanished: rule => handled.vanished.has(rule.id),
    isAnyVanished: handled.vanished.isAny,
    forgetVanished() {
      if (handled.mirror?.exists === true) handled.vanished.forget();
    },
  };
}
