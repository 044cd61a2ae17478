import { hookLines, intraChain, tableText } from './scaffold.ts';

/** The chains that the scaffold hooks into, as `iptables -S` lists them. */
export interface HookedChains {
  forward: readonly string[];
  postrouting: readonly string[];
}

/**
 * Input for `iptables-restore --noflush` that puts the scaffold's hooks back above whatever came to stand over them, in
 * their own order; empty where they are on top, or where there are none: a permissive host stays one (docs/contract.md
 * §4).
 */
export function liftHooks({ forward, postrouting }: HookedChains): string {
  const hooks = ours(forward, 'FORWARD', isHook);
  if (hooks.length === 0) return '';
  // What leaves by the mesh un-NATed names the same networks that are denied; other RETURN rules are not ours.
  const networks = new Set(hooks.map(rule => /^-d (\S+) /.exec(rule)?.[1]));
  const isReturn = (rule: string) => networks.has(/^-s (\S+) -o \S+ -j RETURN$/.exec(rule)?.[1]);
  const returns = ours(postrouting, 'POSTROUTING', isReturn);
  return [
    ...tableText(
      'filter',
      hookLines('FORWARD', hooks, forward, rule => hooks.includes(rule)),
    ),
    ...tableText('nat', hookLines('POSTROUTING', returns, postrouting, isReturn)),
  ]
    .map(line => `${line}\n`)
    .join('');
}

/** Whether FORWARD leads to the default deny at all. */
export function hasHooks(forward: readonly string[]): boolean {
  return ours(forward, 'FORWARD', isHook).length > 0;
}

const isHook = (rule: string) => rule.endsWith(` -j ${intraChain}`);

function ours(listing: readonly string[], chain: string, isOurs: (rule: string) => boolean): string[] {
  const prefix = `-A ${chain} `;
  return listing
    .filter(line => line.startsWith(prefix))
    .map(line => line.slice(prefix.length))
    .filter(isOurs);
}
