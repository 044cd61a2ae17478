import { setTimeout as delay } from 'node:timers/promises';
import { findProgram } from '@coold/testbed';
import { addressesIn, type Dug, digAll, type Vantage, within } from '../harness/dig.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { createHistory, type History, type Seen, secondsFrom } from '../harness/history.ts';
import { runContainer } from '../harness/images.ts';
import { expectExec, HarnessError } from '../harness/provider.ts';
import type { Restart, RestartKind } from './restarts.ts';

/** A container that asks its network's gateway. */
export interface Asker {
  member: FleetHost;
  /** Replaced after each reboot. */
  vantage: Vantage;
}

export interface SoakOptions {
  fleet: Fleet;
  asking: readonly Asker[];
  namespace: string;
  zone: string;
  /** Returns the networks for a host's containers, used in turn. */
  networks: (member: FleetHost) => readonly string[];
  /** A name in the records of an upstream. */
  outside: { name: string; address: string };
  /** Minimum duration, in ms; it is extended until every restart is over. */
  durationMs: number;
  /** Restarts during the soak, one after the other. Without any, dnsperf also runs and must lose nothing. */
  restarts?: readonly Restart[];
}

export interface SoakResult {
  actions: number;
  /** The number of answers that were compared with Podman's state. */
  answers: number;
  /** The number of missing answers while the asked resolver was being restarted. */
  excused: number;
  /** dnsperf's results; undefined when something was restarted. */
  load: { completed: number; lost: number; others: string[] } | undefined;
  restarts: number;
  /** The largest time since an answer was last true, in ms, among answers that no restart could have delayed. */
  oldestMs: number;
  /** Answers that no recent state explains, and names that were wrong at the end. */
  wrong: string[];
}

/** A container with a name and an alias. */
interface Subject {
  name: string;
  alias: string;
  owner: FleetHost;
  network: string;
  history: History;
}

/** A restart with its times; `to` is when the part was seen to be back. */
interface Disturbance {
  kind: RestartKind;
  member: FleetHost;
  from: number;
  to: number;
}

interface Told {
  subject: Subject | undefined;
  asker: FleetHost;
  seen: Seen | undefined;
  begunAt: number;
  endedAt: number;
  what: string;
}

const containersPerHost = 6;
/** docs/contract.md §6. */
const ttlMs = 5000;
/** From Podman's event to the rows on all hosts, in ms: the reconcile interval of 2 s on a busy machine. */
const gossipMs = 5000;
/** After a restart, until subscriptions, listeners and gossip have recovered, in ms. */
const recoveryMs = 20_000;
const loadRate = 200;

/** Restarts after which a resolver gives no answer for a while. */
const silencing: readonly RestartKind[] = ['coold', 'reboot'];
/** Restarts after which a resolver cannot reach its upstreams for a while. */
const parting: readonly RestartKind[] = [...silencing, 'wg0'];
/** Restarts after which Corrosion's agents have to reconnect. */
const separating: readonly RestartKind[] = ['corrosion', 'wg0', 'reboot'];
/** Separates the addresses of one answer. */
const separator = ' ';

/**
 * Starts, stops, replaces and kills containers on all hosts at random, on networks of their namespace and of apps,
 * while all resolvers are asked for their names and aliases over both transports. Answers are compared with what Podman
 * on the owning host reported about each container after each action.
 */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { fleet, asking, namespace, zone, outside, restarts = [] } = options;
  const subjects = fleet.hosts.flatMap(member => subjectsOf(member, options.networks(member)));
  const namesOf = ({ name, alias }: Subject) => [name, alias];
  const domain = (name: string) => `${name}.${namespace}.${zone}`;
  const questions = [
    ...subjects.flatMap(subject =>
      namesOf(subject).map(name => ({ question: domain(name), subject: subject as Subject | undefined })),
    ),
    { question: outside.name, subject: undefined },
  ];
  const inZone = questions.flatMap(({ question, subject }) => (subject === undefined ? [] : [question]));
  await clear(subjects, asking, inZone);
  const disturbances: Disturbance[] = [];
  const told: Told[] = [];
  const turns = new Map<FleetHost, Promise<unknown>>();
  const end = performance.now() + options.durationMs;
  let isRestarted = restarts.length === 0;
  let hasFailed = false;
  const isOver = () => hasFailed || (performance.now() >= end && isRestarted);
  let actions = 0;

  /** Runs one action at a time on each host, so that Podman's state afterwards is the result of that action. */
  const alone = <T>(member: FleetHost, work: () => Promise<T>): Promise<T> => {
    const turn = (turns.get(member) ?? Promise.resolve()).then(work);
    turns.set(
      member,
      turn.catch(() => {}),
    );
    return turn;
  };

  const act = async (member: FleetHost) => {
    const own = subjects.filter(({ owner }) => owner === member);
    while (!isOver()) {
      const subject = own[Math.floor(Math.random() * own.length)];
      if (subject === undefined) return;
      await alone(member, async () => {
        const finish = subject.history.change(performance.now());
        const what = await actOn(subject);
        const address = await addressOf(subject);
        finish(performance.now(), address, what);
      });
      actions += 1;
      await delay(Math.random() * 400);
    }
  };

  const ask = async (asker: Asker) => {
    for (let turn = 0; !isOver(); turn += 1) {
      const transport = turn % 2 === 0 ? 'udp' : 'tcp';
      const begunAt = performance.now();
      // A missing answer is as wrong as a false one.
      const ofUpstream = digAll(asker.vantage, [outside.name], { transport }).catch(() => []);
      const ofZone = digAll(asker.vantage, inZone, { transport }).catch(() => []);
      const dug = (await Promise.all([ofZone, ofUpstream])).flat();
      const byName = new Map(dug.map(one => [one.question, one]));
      const endedAt = performance.now();
      for (const { question, subject } of questions) {
        const one = byName.get(`${question}.`);
        const what = `${question} at ${asker.vantage.server} over ${transport}: ${JSON.stringify(one)}`;
        told.push({ subject, asker: asker.member, seen: one && seenIn(one), begunAt, endedAt, what });
      }
      await delay(200);
    }
  };

  const restart = async () => {
    for (const { kind, member, run } of restarts)
      await alone(member, async () => {
        const own = subjects.filter(({ owner }) => owner === member);
        const disturbance = { kind, member, from: performance.now(), to: Number.POSITIVE_INFINITY };
        disturbances.push(disturbance);
        // When a host goes down, each of its containers changes.
        const finishes = own.map(({ history }) => history.change(performance.now()));
        await run();
        for (const [index, subject] of own.entries()) {
          const address = await addressOf(subject);
          finishes[index]?.(performance.now(), address, `${kind} of ${member.name}`);
        }
        disturbance.to = performance.now();
      });
    isRestarted = true;
  };

  const [first] = asking;
  if (first === undefined) throw new HarnessError('the soak has no asking container');
  const loading = restarts.length === 0 ? runLoad(first.vantage, inZone, options.durationMs) : undefined;
  const parts = [loading, ...fleet.hosts.map(act), ...asking.map(ask), restart()];
  for (const part of parts)
    part?.catch(() => {
      hasFailed = true;
    });
  // All parts end before a failure is reported: a part that went on would act on the containers of the next soak.
  await Promise.allSettled(parts);
  await Promise.all(parts);
  const load = await loading;

  const lasting = (disturbance: Disturbance, { begunAt, endedAt }: Told) =>
    disturbance.from <= endedAt && disturbance.to + recoveryMs >= begunAt;
  const isExcused = (one: Told) =>
    one.seen === undefined &&
    disturbances.some(
      each =>
        each.member === one.asker &&
        (one.subject === undefined ? parting : silencing).includes(each.kind) &&
        lasting(each, one),
    );
  /** An answer may be as old as its TTL plus the gossip time plus any disturbance that delayed the news. */
  const windowOf = (one: Told) => {
    let from = one.begunAt - ttlMs - gossipMs;
    for (const each of disturbances.toReversed())
      if ([one.asker, one.subject?.owner].includes(each.member) && each.from <= one.endedAt)
        if (each.to + recoveryMs >= from) from = Math.min(from, each.from - ttlMs - gossipMs);
    return { from, to: one.endedAt };
  };
  /**
   * Agents that reconnect get new rows at once, and the missed ones, including deletions, later. So a container that
   * was replaced meanwhile may be in an answer together with its predecessor. The stand-in keeps the order of rows.
   */
  const isOutOfOrder = (one: Told) =>
    findProgram('corrosion', process.env['PATH'] ?? '') !== undefined &&
    disturbances.some(
      each =>
        separating.includes(each.kind) &&
        [one.asker, one.subject?.owner].includes(each.member) &&
        lasting(each, one),
    );
  const isTrue = ({ history }: Subject, one: Told, seen: Seen) =>
    history.allows(seen, windowOf(one)) ||
    (isOutOfOrder(one) && seen.split(separator).every(address => history.allows(address, windowOf(one))));
  const isRight = (one: Told) =>
    one.seen !== undefined &&
    (one.subject === undefined ? one.seen === outside.address : isTrue(one.subject, one, one.seen));
  /**
   * Describes everything that may explain an answer, so that the cause of a wrong one can be found from its line alone.
   */
  const tell = (one: Told) => {
    const { what, subject, begunAt, endedAt } = one;
    const window = windowOf(one);
    const at = (time: number) => secondsFrom(begunAt, time);
    const restarted = disturbances.map(
      ({ kind, member, from, to }) => `${kind} of ${member.name} from ${at(from)} to ${at(to)}`,
    );
    return [
      ...[what, `it took ${at(endedAt)}; right would be what was true from ${at(window.from)} on`],
      subject === undefined ? 'an upstream answers' : subject.history.tell(begunAt, window),
      restarted.length === 0 ? 'nothing was restarted' : restarted.join(', '),
    ].join(' | ');
  };
  const isUndisturbed = (one: Told) => windowOf(one).from === one.begunAt - ttlMs - gossipMs;
  const ages = told
    .filter(isUndisturbed)
    .map(({ subject, seen, begunAt }) =>
      seen === undefined ? 0 : (subject?.history.age(seen, begunAt) ?? 0),
    );
  const oldestMs = Math.round(ages.reduce((oldest, age) => Math.max(oldest, age), 0));
  const wrong = told.filter(one => !isExcused(one) && !isRight(one)).map(tell);
  for (const subject of subjects) {
    const truth = await addressOf(subject);
    for (const { vantage } of asking)
      for (const name of namesOf(subject))
        await eventually(
          `${name} to be ${truth}`,
          async () => {
            const [dug] = await digAll(vantage, [domain(name)]).catch(() => []);
            return (dug && seenIn(dug)) === (truth ?? 'missing') || undefined;
          },
          { timeoutMs: restarts.length === 0 ? ttlMs + gossipMs : recoveryMs },
        ).catch((error: Error) => void wrong.push(`${vantage.server}: ${error.message}`));
    await subject.owner.host.exec(['podman', 'rm', '--force', '--time=0', '--ignore', subject.name]);
  }
  return {
    actions,
    answers: told.length,
    excused: told.filter(isExcused).length,
    load,
    restarts: disturbances.length,
    oldestMs,
    wrong,
  };
}

/**
 * Removes what an earlier soak left, including its rows: answers with them would be compared with a history that does
 * not contain them.
 *
 * @throws HarnessError
 */
async function clear(subjects: readonly Subject[], asking: readonly Asker[], names: readonly string[]) {
  for (const { owner, name } of subjects)
    await expectExec(owner.host, ['podman', 'rm', '--force', '--time=0', '--ignore', name]);
  for (const { vantage } of asking)
    await eventually(
      `names of an earlier soak to be gone at ${vantage.server}`,
      async () => {
        const dug = await digAll(vantage, names).catch(() => []);
        return (dug.length === names.length && dug.every(one => seenIn(one) === 'missing')) || undefined;
      },
      { timeoutMs: recoveryMs },
    );
}

function subjectsOf(owner: FleetHost, networks: readonly string[]): Subject[] {
  return Array.from({ length: containersPerHost }, (_, number) => ({
    name: `soak-${owner.name}-${number}`,
    alias: `also-${owner.name}-${number}`,
    owner,
    network: networks[number % networks.length] ?? '',
    history: createHistory(performance.now()),
  }));
}

/** Performs a random action on a container. @returns the action, and Podman's message if it failed */
async function actOn({ owner: { host }, name, alias, network }: Subject): Promise<string> {
  const exists = (await host.exec(['podman', 'container', 'exists', name])).code === 0;
  if (!exists) {
    await runContainer(host, { name, network, args: ['--network-alias', alias] });
    return 'run';
  }
  const kinds = [
    ['start', name],
    ['stop', '--time=0', name],
    ['kill', name],
    ['restart', '--time=0', name],
    ['rm', '--force', '--time=0', name],
  ];
  const chosen = kinds[Math.floor(Math.random() * kinds.length)] ?? [];
  // Killing a stopped container is an error without effect.
  const { code, stderr } = await host.exec(['podman', ...chosen]);
  return `${chosen[0] ?? ''}${code === 0 ? '' : ` (${code ?? 'signal'}: ${stderr.trim()})`}`;
}

/**
 * Returns a container's address according to Podman, if it runs.
 *
 * @throws HarnessError when Podman fails; only an unknown container has no address for that reason
 */
async function addressOf({ owner: { host }, name, network }: Subject): Promise<string | undefined> {
  const format = `{{.State.Status}} {{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const argv = ['podman', 'inspect', '--type', 'container', '--format', format, name] as const;
  const { code, stdout, stderr } = await host.exec(argv);
  const [status = '', address = ''] = stdout.trim().split(' ');
  if (code === 0) return status === 'running' ? address : undefined;
  if (/no such (container|object)/i.test(stderr)) return undefined;
  throw new HarnessError(`${host.name}: ${argv.join(' ')} failed (${code ?? 'signal'}): ${stderr.trim()}`);
}

function seenIn(dug: Dug): Seen | undefined {
  const addresses = addressesIn(dug);
  if (dug.rcode === 'NXDOMAIN') return 'missing';
  return dug.rcode === 'NOERROR' && addresses.length > 0 ? addresses.join(separator) : undefined;
}

/** Queries the same names with dnsperf at a high rate. */
async function runLoad(
  from: Vantage,
  names: readonly string[],
  durationMs: number,
): Promise<SoakResult['load']> {
  const file = '/root/e2e-soak-names';
  await from.host.put(names.map(name => `${name} A\n`).join(''), file, 0o600);
  const seconds = String(Math.ceil(durationMs / 1000));
  const argv = ['dnsperf', '-s', from.server, '-d', file, '-l', seconds, '-Q', String(loadRate)];
  const said = await expectExec(from.host, within(from, argv), { timeoutMs: durationMs + 60_000 });
  const figure = (pattern: RegExp) => Number(pattern.exec(said)?.[1] ?? Number.NaN);
  const codes = (/Response codes:\s+(.*)/.exec(said)?.[1] ?? '')
    .split(', ')
    .map(code => code.split(' ')[0] ?? '');
  return {
    completed: figure(/Queries completed:\s+(\d+)/),
    lost: figure(/Queries lost:\s+(\d+)/),
    others: codes.filter(code => code !== 'NOERROR' && code !== 'NXDOMAIN'),
  };
}
