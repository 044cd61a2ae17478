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
 *
 * The scaffold of `coolify init` works by other rules, and is recognised by their shape: it accepts established connections
 * in FORWARD and not in its chain, so that accept stays above the hooks; and it has hooks for what containers send, which
 * have to stay below netavark's chain, since they end in the deny for what goes to the world, too.
 */
export function liftHooks({ forward, postrouting }: HookedChains): string {
  const rules = ours(forward, 'FORWARD', () => true);
  const hooks = rules.filter(isHook);
  const [first] = hooks;
  if (first === undefined) return '';
  const senders = rules.filter(isSenderHook);
  const established = rules.filter(isEstablished).slice(0, 1);
  const isAbove = established.some(rule => rules.indexOf(rule) < rules.indexOf(first));
  const top = [...(isAbove || senders.length > 0 ? established : []), ...hooks];
  const netavark = rules.findLastIndex(rule => rule.endsWith(' -j NETAVARK_FORWARD'));
  const tooHigh = senders.filter(rule => rules.indexOf(rule) < netavark);
  // What leaves by the mesh un-NATed names the same networks that are denied; other RETURN rules are not ours.
  const networks = new Set(hooks.map(rule => /^-d (\S+) /.exec(rule)?.[1]));
  const isReturn = (rule: string) => networks.has(/^-s (\S+) -o \S+ -j RETURN$/.exec(rule)?.[1]);
  const returns = ours(postrouting, 'POSTROUTING', isReturn);
  return [
    ...tableText('filter', [
      ...hookLines('FORWARD', top, forward, rule => top.includes(rule)),
      ...tooHigh.flatMap(rule => [`-D FORWARD ${rule}`, `-A FORWARD ${rule}`]),
    ]),
    ...tableText('nat', hookLines('POSTROUTING', returns, postrouting, isReturn)),
  ]
    .map(line => `${line}\n`)
    .join('');
}

/** Whether FORWARD leads to the default deny at all. */
export function hasHooks(forward: readonly string[]): boolean {
  return ours(forward, 'FORWARD', rule => rule.endsWith(` -j ${intraChain}`)).length > 0;
}

const isHook = (rule: string) => rule.startsWith('-d ') && rule.endsWith(` -j ${intraChain}`);
const isSenderHook = (rule: string) => rule.startsWith('-s ') && rule.endsWith(` -j ${intraChain}`);
const isEstablished = (rule: string) =>
  /^-m (conntrack --ctstate|state --state) (RELATED,ESTABLISHED|ESTABLISHED,RELATED) -j ACCEPT$/.test(rule);

function ours(listing: readonly string[], chain: string, isOurs: (rule: string) => boolean): string[] {
  const prefix = `-A ${chain} `;
  return listing
    .filter(line => line.startsWith(prefix))
    .map(line => line.slice(prefix.length))
    .filter(isOurs);
}
