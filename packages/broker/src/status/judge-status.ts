import {
  endsSoon,
  formatAge,
  type Problem,
  unreadProblem,
  unservedProblem,
  unservedYet,
} from '@coold/runtime';
import type { Fleet } from '../builds/host-listing.ts';
import type { BrokerStatus, CertificateLife, PeersStatus } from './status.ts';

/** A share of the cap: above it, callers will soon be refused. */
const fullShare = 0.8;

/** A share of the hosts of the last day: more are away than people remove or restart. */
const awayShare = 0.25;
const leastAway = 2;
/** Of few hosts, one is already a large share. */
const halfShare = 0.5;

/**
 * How long after its start unfinished work of a broker is not a problem, in seconds: hosts that lost it dial again
 * within a minute.
 */
const startingS = 60;

/** Returns what is wrong with a broker, one sentence each; nothing when it is healthy. Pure. */
export function judgeStatus(status: BrokerStatus, now: Date): string[] {
  return findProblems(status, now).map(({ text }) => text);
}

/**
 * Returns what a broker that was just started has not done yet, although nothing has failed: one sentence each. Pure.
 */
export function findUnfinished(status: BrokerStatus): string[] {
  if (status.uptime_s >= startingS) return [];
  const { peers } = status;
  return [
    ...(hasNoHost(status) ? ['hosts: none has connected yet'] : []),
    ...(peers != null && !peers.followed ? ['what Corrosion knows of the hosts of other brokers'] : []),
    ...(status.unserved ?? []).map(unservedYet),
  ];
}

/** One broker of several may have no hosts: each host has one stream, to the broker that it dialled. */
function hasNoHost({ hosts, peers }: BrokerStatus): boolean {
  return hosts === 0 && (peers?.routes.elsewhere ?? 0) === 0;
}

/** Returns the same as `judgeStatus`, each with its subject. Pure. */
export function findProblems(status: BrokerStatus, now: Date): Problem[] {
  const isStarting = status.uptime_s < startingS;
  const problems: Problem[] = [];
  const say = (about: string, text: string) => void problems.push({ about, text });
  const sayCertificate = (what: string, life: CertificateLife) => {
    const text = judgeCertificate(what, life, now);
    if (text !== undefined) say(what, text);
  };
  const { hosts, pending, builds, streamed_commands: streamed, tls } = status;
  if (hasNoHost(status) && !isStarting) say('no hosts', 'no host is connected');
  // A broker that was not restarted after an update does not report it. One without any reports an empty list.
  const { count: missing = 0, first: missed = [] } = status.hosts_away ?? {};
  const share = missing / Math.max(1, missing + hosts);
  if (hosts > 0 && ((missing >= leastAway && share >= awayShare) || share >= halfShare))
    say(
      'hosts away',
      `${missing} of ${missing + hosts} hosts that were connected within a day are away: ${missed.map(({ host_id }) => host_id).join(', ')}${missing > missed.length ? ' …' : ''}`,
    );
  const held = pending.waiting + pending.landed + streamed + builds.waiting + builds.landed;
  if (held >= pending.max * fullShare)
    say('full', `${held} of at most ${pending.max} dispatches, streams and builds are under way`);
  if (pending.overdue > 0)
    say('overdue', `${pending.overdue} dispatches of the last minutes are without an answer`);
  if (!isStarting)
    for (const unserved of status.unserved ?? []) say(unserved.what, unservedProblem(unserved));
  for (const files of status.unread ?? []) say(`files: ${files.what}`, unreadProblem(files));
  if (tls !== null) sayCertificate('the TLS certificate', tls);
  // A broker that was not restarted after an update does not report it.
  const { count = 0, first = [] } = status.ending_tokens ?? {};
  if (count > 0) {
    const named = first.map(({ host_id, ends_at }) => `${host_id} at ${ends_at}`).join(', ');
    say(
      'tokens',
      `tokens of ${count} hosts end soon: ${named}${count > first.length ? ' …' : ''}; give these hosts new ones`,
    );
  }
  for (const { host_id, replacements, addresses } of status.contested_hosts ?? [])
    say(
      `contested ${host_id}`,
      `streams of host ${host_id} replaced each other ${replacements} times within 10 minutes, from ${addresses.join(' and ')}: ${addresses.length > 1 ? 'two machines seem to use its token, so its commands may reach the wrong one; give each a token of its own' : 'a second machine behind that address may use its token, or its connection breaks again and again'}`,
    );
  if (status.peers != null) {
    if (!status.peers.followed && !isStarting)
      say('routes', 'Corrosion does not report where the hosts of other brokers are');
    problems.push(...judgeHeartbeats(status.peers));
    const { not_before, not_after, ca_not_before, ca_not_after } = status.peers;
    sayCertificate('the certificate that other brokers are shown', { not_before, not_after });
    sayCertificate('the CA of the other brokers', { not_before: ca_not_before, not_after: ca_not_after });
  }
  return problems;
}

/** A broker that was not restarted after an update does not report it. */
function judgeHeartbeats({
  brokers,
  heartbeat_age_s: age,
  heartbeat_ttl_s: ttl,
}: Partial<PeersStatus>): Problem[] {
  const problems = (brokers?.first ?? [])
    .filter(({ state }) => state === 'dead')
    .map(
      ({ broker_id, address, still_s, routes }): Problem => ({
        about: `broker ${broker_id}`,
        text: `broker ${broker_id} at ${address} is dead: its heartbeat has not changed for ${formatAge(still_s ?? 0)}; ${routes} routes to it are ignored`,
      }),
    );
  const others = (brokers?.alive ?? 0) + (brokers?.dead ?? 0) + (brokers?.without_heartbeat ?? 0);
  if (age === null && others > 0)
    problems.push({
      about: 'heartbeats',
      text: 'Corrosion has no table broker_heartbeats, so a dead broker is not noticed: install its schema file and run systemctl reload corrosion',
    });
  if (typeof age === 'number' && ttl !== undefined && age >= ttl)
    problems.push({
      about: 'heartbeat',
      text: `the heartbeat of this broker was last written ${formatAge(age)} ago: other brokers take it for dead`,
    });
  return problems;
}

/**
 * Returns one sentence for each broker that did not answer the question for its hosts. A broker that was just started
 * may ask before the mesh works, or at the start of the others. Pure.
 */
export function judgeFleet(
  fleet: Pick<Fleet, 'brokers'>,
  { uptime_s }: Pick<BrokerStatus, 'uptime_s'>,
): { problems: string[]; unfinished: string[] } {
  const silent = fleet.brokers
    .filter(({ state }) => state === 'silent')
    .map(({ broker_id, address, error }) => ({ broker: `broker ${broker_id} at ${address}`, error }));
  return uptime_s < startingS
    ? { problems: [], unfinished: silent.map(({ broker, error }) => `an answer of ${broker}: it ${error}`) }
    : {
        problems: silent.map(({ broker, error }) => `${broker} does not answer: it ${error}`),
        unfinished: [],
      };
}

/** @returns undefined: it is valid for long enough */
function judgeCertificate(
  what: string,
  { not_before, not_after }: CertificateLife,
  now: Date,
): string | undefined {
  const ends = Date.parse(not_after);
  const begins = not_before === undefined ? undefined : Date.parse(not_before);
  const leftMs = ends - now.getTime();
  if (leftMs <= 0) return `${what} ended at ${not_after}`;
  if (!endsSoon({ begins, ends }, now.getTime())) return undefined;
  const hours = Math.floor(leftMs / 3_600_000);
  return `${what} ends in ${hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`}`;
}
