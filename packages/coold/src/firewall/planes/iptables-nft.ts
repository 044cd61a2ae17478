import { changeRouted, checkRouted, flowKey, listRouted, placeOf } from '../iptables-plane.ts';
import { createMirror, type Mirror } from '../mirror.ts';
import { deletions } from '../nft-plane.ts';
import { chainWork } from './chain-work.ts';
import { createHandledChain } from './handled-chain.ts';
import type { Plane } from './plane.ts';

export interface RoutedPlane extends Plane {
  readonly mirror: Mirror;
}

/**
 * The routed plane where iptables keeps its rules in nf_tables: iptables adds, since it alone writes its comments, and nft
 * deletes by handle, which it does in the transaction of the other planes.
 *
 * @param many from so many rules that go on, the chain may be written anew
 */
export function createIptablesNft(chain: string, many: number): RoutedPlane {
  const handled = createHandledChain({
    place: { family: 'ip', table: 'filter', chain },
    keyOf: flowKey,
    // nft does not show the comment, so only what we are adding ourselves can be told from others' rules.
    recognise: (flow, awaited) => awaited(flowKey(flow)),
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
    canRemove: handled.canRemove,
    plan(changes) {
      const mirror = mirrorNow();
      const work = chainWork(changes, 'iptables', mirror, many);
      const { add, anew } = work;
      const handles = work.remove.filter(place => typeof place === 'number');
      const isCommand = anew !== undefined || add.length > 0;
      const isScript = anew === undefined && handles.length > 0;
      return {
        adds: add.length,
        removes: work.remove.length,
        command: isCommand
          ? {
              work: run => changeRouted(run, { chain, exists: mirror.exists, add, remove: [], anew }),
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
    trial: forms => ({
      command: run => checkRouted(run, chain, mirrorNow().exists, forms),
      script: [],
    }),
    hasVanished: rule => handled.vanished.has(rule.id),
    isAnyVanished: handled.vanished.isAny,
    forgetVanished: handled.vanished.forget,
  };
}
