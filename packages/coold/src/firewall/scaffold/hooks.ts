import {
  egressRule,
  establishedRule,
  hookLines,
  hookRule,
  hooksIn,
  intraChain,
  publishedRule,
  tableText,
} from '../deny/scaffold.ts';
import { covers } from '../rule/cidr.ts';

/** The chains that the scaffold hooks into, as `iptables -S` lists them. */
export interface HookedChains {
  forward: readonly string[];
  postrouting: readonly string[];
}

/**
 * Returns input for `iptables-restore --noflush` that moves the scaffold's hooks above whatever was inserted over them,
 * in their own order. Empty when they are first, or when there are none: a permissive host stays permissive
 * (docs/contract.md §4). The scaffold of `coolify init`, which also has hooks for what containers send, is put into
 * working order instead.
 */
export function liftHooks({ forward, postrouting }: HookedChains): string {
  const rules = ours(forward, 'FORWARD', () => true);
  const hooks = rules.filter(isHook);
  const [first] = hooks;
  if (first === undefined) return '';
  const senders = rules.flatMap(rule => senderHook.exec(rule)?.[1] ?? []);
  const established = rules.filter(isEstablished).slice(0, 1);
  const isAbove = established.some(rule => rules.indexOf(rule) < rules.indexOf(first));
  const top = senders.length > 0 ? foreignTop(forward, senders) : [...(isAbove ? established : []), ...hooks];
  // The rules for packets that leave by the mesh without NAT name the networks that are denied; other RETURN rules are
  // not ours.
  const networks = new Set(hooks.map(rule => /^-d (\S+) /.exec(rule)?.[1]));
  const isReturn = (rule: string) => networks.has(/^-s (\S+) -o \S+ -j RETURN$/.exec(rule)?.[1]);
  const returns = ours(postrouting, 'POSTROUTING', isReturn);
  return [
    ...tableText(
      'filter',
      hookLines('FORWARD', top, forward, rule => top.includes(rule)),
    ),
    ...tableText('nat', hookLines('POSTROUTING', returns, postrouting, isReturn)),
  ]
    .map(line => `${line}\n`)
    .join('');
}

/**
 * Whether only netavark's rules stand above the hooks. That happens every time a network comes up, unlike rules of
 * other programs.
 */
export function isBelowNetavark({ forward, postrouting }: HookedChains): boolean {
  const above = [
    ...rulesBefore(forward, 'FORWARD', rule => isHook(rule) || isEstablished(rule) || isOurComment(rule)),
    ...rulesBefore(postrouting, 'POSTROUTING', rule => /^-s \S+ -o \S+ -j RETURN$/.test(rule)),
  ];
  return above.length > 0 && above.every(rule => / -j NETAVARK[-_][A-Z0-9_-]+$/.test(` ${rule}`));
}

/** Whether FORWARD leads to the default deny at all. */
export function hasHooks(forward: readonly string[]): boolean {
  return ours(forward, 'FORWARD', rule => rule.endsWith(` -j ${intraChain}`)).length > 0;
}

/**
 * Returns the rules that FORWARD has to begin with where the scaffold is that of `coolify init`. Its deny chain accepts
 * neither answers nor published ports, so both are accepted before it. Its hooks for what containers send end in the
 * same deny, also for packets to the internet or to another host, which judges them itself; so those packets are
 * accepted before these hooks and after the hooks that deny packets to this host's containers. Where netavark uses
 * nftables it adds none of that.
 *
 * @param senders networks with a hook for what they send
 */
function foreignTop(forward: readonly string[], senders: readonly string[]): string[] {
  const hooks = hooksIn(forward);
  // The hook of a pool, left by our scaffold, covers other hosts' containers as well.
  const isWide = ({ network }: (typeof hooks)[number]) =>
    !senders.includes(network) && senders.some(sender => covers(network, sender));
  const own = hooks.filter(hook => !isWide(hook));
  const rules = [
    establishedRule,
    ...own.map(({ network }) => publishedRule(network)),
    ...own.map(({ network, kind }) => hookRule(network, kind)),
    ...senders.map(subnet => egressRule(subnet, 'configured')),
    ...hooks.filter(isWide).map(({ network, kind }) => hookRule(network, kind)),
  ];
  // Two writers that add the same rules at once have added them twice.
  return [...new Set(rules)];
}

const isHook = (rule: string) => rule.startsWith('-d ') && rule.endsWith(` -j ${intraChain}`);
const senderHook = new RegExp(`^-s (\\S+) -j ${intraChain}$`);
const isEstablished = (rule: string) =>
  /^-m (conntrack --ctstate|state --state) (RELATED,ESTABLISHED|ESTABLISHED,RELATED) -j ACCEPT$/.test(rule);

const isOurComment = (rule: string) => / --comment "?coolify-[a-z]+"? /.test(rule);

/** Returns the rules of a chain above the first one of ours. */
function rulesBefore(listing: readonly string[], chain: string, isOurs: (rule: string) => boolean): string[] {
  const rules = ours(listing, chain, () => true);
  const first = rules.findIndex(isOurs);
  return first === -1 ? [] : rules.slice(0, first);
}

function ours(listing: readonly string[], chain: string, isOurs: (rule: string) => boolean): string[] {
  const prefix = `-A ${chain} `;
  return listing
    .filter(line => line.startsWith(prefix))
    .map(line => line.slice(prefix.length))
    .filter(isOurs);
}
