import { isOfMesh, type Observation } from './measure.ts';
import { containerAt, hostOf } from './places.ts';
import { type Row, type Verdict, whileItChanges } from './row.ts';
import type { World } from './world.ts';

/** Returns the expected verdict of a row in a world; undefined when the row does not apply there. */
export function verdictIn(row: Row, world: World): Verdict | undefined {
  const { only, elsewhere = {}, verdict, rule, from, to } = row;
  if (only !== undefined && !only.includes(world.name)) return undefined;
  const other = elsewhere[world.name];
  if (other === 'not asked') return undefined;
  if (whileItChanges(row) && world.during === undefined) return undefined;
  if (other !== undefined) return other;
  if (world.nothingAllowed && rule !== undefined) return 'dropped';
  // The path is gone, and packets for the mesh are dropped on any other path.
  if (world.name === 'wg0 down' && verdict === 'passes' && hostOf(from) !== hostOf(to) && isOfMesh(to))
    return 'dropped';
  return verdict;
}

/** Describes what differs from the expectation, in one line; undefined when nothing does. Pure. */
export function judge(row: Row, expected: Verdict, seen: Observation): string | undefined {
  const { inTheClear } = seen;
  // A packet for another host's mesh address may be dropped there, but must never appear unencrypted on the network
  // between.
  if (isOfMesh(row.to) && hostOf(row.from) !== 'n' && inTheClear.length > 0)
    return `left by eth0 in the clear, as from ${inTheClear[0]?.source}`;
  return expected === 'passes' ? whyNotPassed(row, seen) : whyNotDropped(row, seen);
}

function whyNotPassed(row: Row, seen: Observation): string | undefined {
  const { result, arrived, arrivedBack, own, end } = seen;
  const { packet } = row;
  const failed = result.error === undefined ? '' : ` (${result.error})`;
  switch (packet.kind) {
    case 'raw':
    case 'flood':
    case 'both first':
      return arrived.length > 0 ? undefined : `did not arrive${failed}`;
    case 'closed':
      return result.refused ? undefined : `no ICMP error came back${failed}`;
    case 'held':
      if (!(latest(arrived) > end - liveS)) return brokenOff('did not go on', arrived);
      if (!(latest(arrivedBack) > end - liveS)) return brokenOff('had no more answers', arrivedBack);
      return undefined;
    case 'tcp':
    case 'connect':
    case 'udp':
    case 'query':
    case 'icmp':
      if (!result.answered && arrived.length > 0) return `arrived, and had no answer${failed}`;
      if (!result.answered) return `did not arrive${failed}`;
      if (seesOwnAddress(row) && result.peer !== undefined && result.peer !== own)
        return `arrived with the address ${result.peer}, not ${own}`;
      return undefined;
  }
}

function whyNotDropped(row: Row, seen: Observation): string | undefined {
  const { result, arrived, arrivedBack, changed } = seen;
  const { packet } = row;
  if (packet.kind === 'held') {
    if (changed === undefined) return 'nothing changed';
    if (!(first(arrived) < changed)) return 'was not open before the change';
    const still = [...arrived, ...arrivedBack].filter(({ last }) => last > changed + graceS);
    if (still.length === 0) return undefined;
    return `went on for ${(Math.max(...still.map(({ last }) => last)) - changed).toFixed(1)} s`;
  }
  if (packet.kind === 'udp' && packet.size !== undefined)
    // Later fragments carry no port, so they alone prove nothing.
    return result.answered ? 'passed' : undefined;
  // When both ends send first, neither may hear the other.
  const heard = [...arrived, ...arrivedBack];
  const count = heard.reduce((sum, { count }) => sum + count, 0);
  if (count > 0) return `passed, ${count} packets as from ${heard[0]?.source}`;
  // On a bridge the host receives broadcasts too, and may answer them.
  if (row.at === 'broadcast' || row.at === 'everyone') return undefined;
  return result.answered ? 'passed' : undefined;
}

/**
 * Whether the destination has to see the sender's own address: on one bridge, and across hosts, where the other host's
 * rules name it. Between two bridges of a host netavark masquerades after the rules were applied.
 */
function seesOwnAddress({ from, to, seen = 'own' }: Row): boolean {
  const networkOf = (place: Row['from']) => containerAt(place)?.networks[0];
  return seen === 'own' && (hostOf(from) !== hostOf(to) || networkOf(from) === networkOf(to));
}

/** A flow that sends every 50 ms and has been silent for this long has ended, in s. */
const liveS = 1;
/** How long packets in flight may arrive after the rule was removed, in s. */
const graceS = 0.3;

const latest = (arrivals: Observation['arrived']) => Math.max(0, ...arrivals.map(({ last }) => last));
const first = (arrivals: Observation['arrived']) =>
  Math.min(Number.POSITIVE_INFINITY, ...arrivals.map(arrival => arrival.first));

function brokenOff(what: string, arrivals: Observation['arrived']): string {
  return arrivals.length === 0 ? 'did not arrive' : what;
}
