import type { OpenNetlink } from '../netlink/netlink-socket.ts';
import type { XtTable } from '../netlink/xt-socket.ts';
import { addressBytes } from '../rule/cidr.ts';
import { isAllowChain, isAllowedSet, withAllowRule } from './assumed-rule.ts';
import { type LegacyTable, readLegacyTable } from './kernel/legacy-ruleset.ts';
import { type Link, readLink, routesByMark } from './kernel/route.ts';
import type { BaseChain } from './kernel/rules.ts';
import { KernelRuleset, type RuleIndex } from './kernel-ruleset.ts';
import type { AskedPacket } from './packet/asked-packet.ts';
import { describePlace, describeRule } from './packet/describe-rule.ts';
import type { Ruleset, Witness } from './packet/evaluate.ts';
import type { AskedFlow } from './packet/find-way.ts';
import { type HopVerdict, type JudgedHop, judgeWay } from './packet/judge-way.ts';
import { type HopName, sideOf, type Way } from './packet/way.ts';
import { readUnread } from './unread.ts';

/** The verdict for one part of the packet's path. */
export interface ExplainedHop {
  hop: HopName;
  verdict: HopVerdict;
  why: string;
  by: Decider | undefined;
}

export interface Decider {
  chain: string;
  text: string;
  /** The rule's comment; empty when it has none. */
  comment: string;
  /** Whether this is an allow rule or a set of allow rules. */
  isAllowRule: boolean;
}

export interface ExplainedFlow {
  hops: ExplainedHop[];
  /**
   * Whether an allow rule would let the packet pass this host. Undefined when the packet passes already or this is not
   * known.
   */
  ruleOpens: boolean | undefined;
}

/** How the kernel's rules are read. */
export interface FilterReaders {
  open: OpenNetlink;
  /** Reads the tables of iptables-legacy. @throws Error */
  legacy(): Promise<readonly XtTable[]>;
  index: RuleIndex;
  /** The chain of the allow rules in iptables. */
  chainName: string;
}

/** The packet filter changed during every attempt to read it. */
export class UnsteadyError extends Error {}

const looks = 3;

/**
 * Follows the first packet of a flow through this host by the kernel's current rules.
 *
 * @throws UnsteadyError, NetlinkError, Error when the kernel cannot be read
 */
export async function explainFlow(
  flow: AskedFlow,
  way: Way,
  sourceLink: Link | undefined,
  readers: FilterReaders,
): Promise<ExplainedFlow> {
  for (let left = looks; ; left -= 1) {
    const explained = await look(flow, way, sourceLink, readers);
    if (explained !== undefined) return explained;
    if (left <= 1) throw new UnsteadyError(`the packet filter changed during each of ${looks} readings`);
  }
}

/** @returns undefined when the rules changed meanwhile */
async function look(
  flow: AskedFlow,
  way: Way,
  sourceLink: Link | undefined,
  { open, legacy, index, chainName }: FilterReaders,
): Promise<ExplainedFlow | undefined> {
  const packet: AskedPacket = {
    source: addressBytes(flow.src),
    destination: addressBytes(flow.dst),
    proto: flow.proto,
    port: flow.port,
  };
  using socket = open('nf_tables');
  const kernel = new KernelRuleset(socket, packet.source, packet.destination, index);
  const before = kernel.generation();
  const tables = (await legacy()).map(table => readLegacyTable(table, packet.source, packet.destination));
  const ruleset = joinRulesets(kernel, tables);
  const chains: BaseChain[] = [
    ...(await kernel.baseChains()),
    ...tables.flatMap(({ baseChains }) => baseChains),
  ];
  const isOurs = ({ place, rule, sets }: Witness) =>
    sets.some(set => isAllowedSet(place, set)) || (rule !== undefined && isAllowChain(place, chainName));
  const masters = readMasters(chains, open);
  const { unread, isRoutedByMark } = await readBeside(way, open);
  const judge = async (rules: Ruleset) => {
    const masterOf = (device: string) => masters.get(device);
    const judged = await judgeWay(
      ...([rules, chains, packet, way, sourceLink, isOurs, masterOf, isRoutedByMark] as const),
    );
    return unread.length === 0 ? judged : doubtFirst(judged, `coold does not read ${unread.join(', nor ')}`);
  };
  const hops = await judge(ruleset);
  const isBlocked = hops.some(({ verdict }) => verdict === 'blocked');
  const opened = isBlocked ? await judge(withAllowRule(ruleset, chainName)) : undefined;
  if (kernel.isTorn() || kernel.generation() !== before) return undefined;
  const opens = opened?.every(({ verdict }) => verdict === 'passes');
  const stillBlocked = new Set(
    opened?.flatMap(({ hop, verdict }) => (verdict === 'passes' ? [] : [hop])) ?? [],
  );
  return { hops: hops.map(hop => tell(hop, isOurs, !stillBlocked.has(hop.hop))), ruleOpens: opens };
}

/** Returns the numbers of bridges, by the names of their ports that have chains of their own. */
function readMasters(chains: readonly BaseChain[], open: OpenNetlink): Map<string, number> {
  const devices = chains.filter(chain => sideOf(chain) !== undefined).flatMap(chain => chain.devices);
  const masters = new Map<string, number>();
  if (devices.length === 0) return masters;
  using routes = open('routes');
  for (const device of new Set(devices)) {
    const master = readLink(routes, device)?.master;
    if (master !== undefined) masters.set(device, master);
  }
  return masters;
}

/** Reads what else decides about the packet, besides the rules of the packet filter. */
async function readBeside(way: Way, open: OpenNetlink) {
  using routes = open('routes');
  return { unread: await readUnread(routes, way), isRoutedByMark: await routesByMark(routes) };
}

function doubtFirst([first, ...behind]: readonly JudgedHop[], why: string): JudgedHop[] {
  if (first === undefined) return [];
  const isDoubtful = first.verdict === 'passes';
  return [isDoubtful ? { ...first, verdict: 'unknown', by: undefined, doubt: why } : first, ...behind];
}

function joinRulesets(kernel: KernelRuleset, tables: readonly LegacyTable[]): Ruleset {
  return {
    async rules(place, isTranslated) {
      if (place.family !== 'legacy') return kernel.rules(place, isTranslated);
      return tables.find(({ table }) => table === place.table)?.rules.get(place.chain) ?? [];
    },
    lookUp: (place, set, key) => kernel.lookUp(place, set, key),
  };
}

/** @param wouldOpen whether an allow rule would let the packet pass here */
function tell(
  { hop, verdict, by, doubt }: JudgedHop,
  isOurs: (witness: Witness) => boolean,
  wouldOpen: boolean,
): ExplainedHop {
  const decider = by === undefined ? undefined : describe(by, isOurs(by));
  return { hop, verdict, why: whyOf(verdict, by, doubt, isOurs, wouldOpen), by: decider };
}

function whyOf(
  verdict: HopVerdict,
  by: Witness | undefined,
  doubt: string | undefined,
  isOurs: (witness: Witness) => boolean,
  wouldOpen: boolean,
): string {
  switch (verdict) {
    case 'unknown':
      return doubt ?? 'it is not known';
    case 'blocked': {
      const what =
        by === undefined ? 'a rule' : by.rule === undefined ? 'the policy of the chain' : 'the rule';
      return wouldOpen
        ? `no allow rule lets it pass, so ${what} drops it`
        : `${what} drops it, and no allow rule would change that`;
    }
    case 'passes':
      if (by === undefined) return 'no rule drops it';
      return isOurs(by) ? 'an allow rule lets it pass' : 'a rule lets it pass, and none drops it';
  }
}

function describe({ place, rule }: Witness, isAllowRule: boolean): Decider {
  const text = rule === undefined ? 'policy drop' : describeRule(rule);
  return { chain: describePlace(place), text, comment: rule?.comment ?? '', isAllowRule };
}
