import { chainWork } from './chain-work.ts';
import type { RoutedPlane } from './iptables-nft.ts';
import { changeRouted, checkRouted, listLegacy } from './iptables-plane.ts';
import { createMirror } from './mirror.ts';
import { createVanished } from './vanished.ts';

/**
 * The routed plane where iptables uses the older kernel tables: nothing is announced, rules have no handles and are
 * deleted by their text, and only a listing shows a change.
 *
 * @param many with at least this many removals the chain may be written again
 */
export function createIptablesLegacy(chain: string, many: number): RoutedPlane {
  let mirror = createMirror(false);
  const vanished = createVanished(() => [...mirror.rules.values()].map(({ rule }) => rule));
  return {
    name: 'iptables',
    program: 'iptables',
    isAnnounced: false,
    get mirror() {
      return mirror;
    },
    async read(look) {
      const found = await listLegacy(look, chain);
      return () => {
        if (mirror.exists && !found.exists) vanished.all();
        mirror = found;
      };
    },
    take: () => 'elsewhere',
    canRemove: () => true,
    plan(changes) {
      const { add, remove, anew } = chainWork(changes, 'iptables', mirror, many);
      const lines = remove.filter(place => typeof place === 'string');
      const isNeeded = add.length + lines.length > 0;
      return {
        adds: add.length,
        removes: lines.length,
        command: isNeeded
          ? {
              work: run => changeRouted(run, { chain, exists: mirror.exists, add, remove: lines, anew }),
              provedWork: undefined,
              isAnnounced: () => true,
            }
          : undefined,
        script: undefined,
        expect() {},
        settle() {},
      };
    },
    trial: forms => ({ command: run => checkRouted(run, chain, mirror.exists, forms), script: [] }),
    hasVanished: rule => vanished.has(rule.id),
    isAnyVanished: vanished.isAny,
    forgetVanished() {
      if (mirror.exists) vanished.forget();
    },
  };
}
