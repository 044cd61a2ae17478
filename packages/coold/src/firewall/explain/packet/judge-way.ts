import type { Link } from '../kernel/route.ts';
import type { BaseChain } from '../kernel/rules.ts';
import type { AskedPacket } from './asked-packet.ts';
import { describePlace, describeRule } from './describe-rule.ts';
import { evaluate, nothingCarried, type Outcome, type Ruleset, type Witness } from './evaluate.ts';
import { equals } from './known-bits.ts';
import { chainsAt, chainsOfLinks, type HopName, stopsOf, type Way } from './way.ts';

const noMark = new Uint8Array(4);

export type HopVerdict = 'passes' | 'blocked' | 'unknown';

/** The verdict for one part of the packet's path, and what decided it. */
export interface JudgedHop {
  hop: HopName;
  verdict: HopVerdict;
  /** What decided; undefined when no rule matched. */
  by: Witness | undefined;
  /** Why the verdict is unknown. */
  doubt: string | undefined;
}

/**
 * Leads a packet along its way, and says of each part what becomes of it there. Parts behind one that drops it are judged all the
 * same: what else would have to be opened is of interest too.
 *
 * @param isOurs whether a witness is a rule that an allow rule has put there, or a set of those
 * @param masterOf the number of the bridge that an interface is a port of
 * @param isRoutedByMark whether routes depend on the mark that the first hook leaves to the packet; the way is that of none
 */
export async function judgeWay(
  ruleset: Ruleset,
  chains: readonly BaseChain[],
  packet: AskedPacket,
  way: Way,
  sourceLink: Link | undefined,
  isOurs: (witness: Witness) => boolean,
  masterOf: (device: string) => number | undefined,
  isRoutedByMark: boolean,
): Promise<JudgedHop[]> {
  const hops = new Map<HopName, JudgedHop>();
  const carried = nothingCarried();
  const stops = stopsOf(way, sourceLink);
  let now = packet;
  const [own] = chainsOfLinks(chains, way, masterOf);
  /** Set once the packet may have another destination: rules are not asked about it any more. */
  let isElsewhere: string | undefined;
  for (const stop of stops) {
    const hop = hops.get(stop.hop) ?? {
      hop: stop.hop,
      verdict: 'passes' as const,
      by: undefined,
      doubt: undefined,
    };
    hops.set(stop.hop, hop);
    if (isElsewhere !== undefined) {
      doubt(hop, undefined, isElsewhere);
      continue;
    }
    for (const base of chainsAt(stop, chains)) {
      if (base.type === 'nat' && stop.station.hook === 'postrouting' && carried.isSourceSettled) continue;
      const outcome = await evaluate(ruleset, base, now, stop.station, carried);
      if (outcome.source !== undefined) {
        carried.isSourceSettled = true;
        // Later chains see the new source address.
        now = { ...packet, isTranslated: true };
      }
      const other = outcome.destination ?? outcome.rewritten;
      if (other !== undefined) {
        isElsewhere =
          outcome.destination === undefined
            ? `${textOf(other)} may give the packet another address or port`
            : `${textOf(other)} gives the packet another destination address`;
        doubt(hop, other, isElsewhere);
        break;
      }
      take(hop, outcome, isOurs, way.kind === 'routed' && !way.out.isBridge);
    }
    const isBeforeRouting =
      way.kind === 'routed' && stop.station.layer === 'ip' && stop.station.hook === 'prerouting';
    if (isBeforeRouting && isRoutedByMark && equals(carried.mark, noMark) !== 'yes')
      doubt(hop, undefined, 'a rule marks the packet, and rules of the routing policy go by marks');
  }
  if (own !== undefined) {
    const [first] = hops.values();
    if (first !== undefined)
      doubt(first, undefined, `chain ${describePlace(own)} stands at the interface itself`);
  }
  return [...hops.values()];
}

/** @param leavesHost whether another host sees the packet's source address */
function take(
  hop: JudgedHop,
  { accept, drop, source, elsewhere }: Outcome,
  isOurs: (witness: Witness) => boolean,
  leavesHost: boolean,
): void {
  if (leavesHost && source !== undefined)
    doubt(
      hop,
      source,
      `${textOf(source)} gives the packet another source address, so the rules of the other host do not know it`,
    );
  if (elsewhere !== undefined)
    doubt(hop, elsewhere, `${textOf(elsewhere)} hands it to a program that decides`);
  if (drop !== undefined && accept === undefined && elsewhere === undefined) {
    // The first drop is the one that the sender meets.
    if (hop.verdict !== 'blocked') Object.assign(hop, { verdict: 'blocked', by: drop, doubt: undefined });
  } else if (drop !== undefined) {
    doubt(hop, drop, `whether ${textOf(drop)} drops it depends on what is not known of the packet`);
  } else if (accept !== undefined && hop.verdict === 'passes') {
    const known = hop.by;
    if (known === undefined || !isOurs(known)) {
      if (isOurs(accept) || (known === undefined && accept.rule !== undefined)) hop.by = accept;
    }
  }
}

function doubt(hop: JudgedHop, by: Witness | undefined, text: string): void {
  if (hop.verdict !== 'passes') return;
  Object.assign(hop, { verdict: 'unknown', by, doubt: text });
}

function textOf({ place, rule }: Witness): string {
  return rule === undefined
    ? `the policy of chain ${describePlace(place)}`
    : `the rule "${describeRule(rule)}" of chain ${describePlace(place)}`;
}
