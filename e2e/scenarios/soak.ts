import { setTimeout as delay } from 'node:timers/promises';
import { addressesIn, digAll, type Vantage, within } from '../harness/dig.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { createHistory, type History, type Seen } from '../harness/history.ts';
import { runContainer } from '../harness/images.ts';
import { expectExec, HarnessError } from '../harness/provider.ts';

export interface SoakOptions {
  fleet: Fleet;
  /** Where questions are asked from, one host each. */
  asking: readonly Vantage[];
  namespace: string;
  zone: string;
  durationMs: number;
}

export interface SoakResult {
  actions: number;
  /** Answers that were compared with what Podman had said. */
  answers: number;
  /** What dnsperf sent meanwhile. */
  load: { completed: number; lost: number; others: string[] };
  /** Answers that nothing of the last seconds can account for, and names that were not right at the end. */
  wrong: string[];
}

const containersPerHost = 6;
/** docs/contract.md §6. */
const ttlMs = 5000;
/** From Podman's word to the rows of all hosts: the reconcile of 2 s on a machine that has other work to do. */
const gossipMs = 5000;
const loadRate = 200;

/**
 * Starts, stops, replaces and kills containers on all hosts at random while all of them are asked for their names, over both
 * transports; what Podman said of each container after each action is the truth that answers are held against.
 */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { fleet, asking, namespace, zone, durationMs } = options;
  const histories = new Map<string, History>();
  const owners = new Map<string, FleetHost>();
  for (const member of fleet.hosts)
    for (let number = 0; number < containersPerHost; number += 1) {
      const name = `soak-${member.name}-${number}`;
      owners.set(name, member);
      histories.set(name, createHistory(performance.now()));
    }
  const names = [...histories.keys()];
  const domain = (name: string) => `${name}.${namespace}.${zone}`;
  const end = performance.now() + durationMs;
  const isOver = () => performance.now() >= end;
  let actions = 0;
  const told: { name: string; seen: Seen | undefined; window: { from: number; to: number }; what: string }[] =
    [];

  const act = async (member: FleetHost) => {
    const own = names.filter(name => owners.get(name) === member);
    while (!isOver()) {
      const name = own[Math.floor(Math.random() * own.length)] ?? '';
      const history = histories.get(name);
      if (history === undefined) return;
      const finish = history.change(performance.now());
      await actOn(member, name, member.namespaces[namespace]?.network ?? '');
      finish(performance.now(), await addressOf(member, name, namespace));
      actions += 1;
      await delay(Math.random() * 400);
    }
  };

  const ask = async (from: Vantage) => {
    for (let turn = 0; !isOver(); turn += 1) {
      const transport = turn % 2 === 0 ? 'udp' : 'tcp';
      const begunAt = performance.now();
      // An answer that never came is as wrong as one that is not true.
      const dug = await digAll(from, names.map(domain), { transport }).catch(() => []);
      const byName = new Map(dug.map(one => [one.question, one]));
      const window = { from: begunAt - ttlMs - gossipMs, to: performance.now() };
      for (const name of names) {
        const one = byName.get(`${domain(name)}.`);
        const seen = one && seenIn(one.rcode, addressesIn(one));
        const what = `${name} at ${from.server} over ${transport}: ${JSON.stringify(one)}`;
        told.push({ name, seen, window, what });
      }
      await delay(200);
    }
  };

  const [first] = asking;
  if (first === undefined) throw new HarnessError('a soak that nobody asks in');
  const [load] = await Promise.all([
    runLoad(first, names.map(domain), durationMs),
    ...fleet.hosts.map(act),
    ...asking.map(ask),
  ]);

  const wrong = told
    .filter(({ name, seen, window }) => seen === undefined || !histories.get(name)?.allows(seen, window))
    .map(({ what }) => what);
  for (const name of names) {
    const owner = owners.get(name);
    const truth = owner && (await addressOf(owner, name, namespace));
    for (const from of asking)
      await eventually(
        `${name} to be ${truth}`,
        async () => {
          const [dug] = await digAll(from, [domain(name)]);
          return (dug && seenIn(dug.rcode, addressesIn(dug))) === (truth ?? 'missing') || undefined;
        },
        { timeoutMs: ttlMs + gossipMs },
      ).catch((error: Error) => void wrong.push(`${from.server}: ${error.message}`));
    await owner?.host.exec(['podman', 'rm', '--force', '--time=0', '--ignore', name]);
  }
  return { actions, answers: told.length, load, wrong };
}

/** One of what happens to containers. */
async function actOn({ host }: FleetHost, name: string, network: string): Promise<void> {
  const exists = (await host.exec(['podman', 'container', 'exists', name])).code === 0;
  if (!exists) {
    await runContainer(host, { name, network });
    return;
  }
  const kinds = [
    ['start', name],
    ['stop', '--time=0', name],
    ['kill', name],
    ['restart', '--time=0', name],
    ['rm', '--force', '--time=0', name],
  ];
  const chosen = kinds[Math.floor(Math.random() * kinds.length)] ?? [];
  // To kill what does not run is an error, and changes nothing.
  await host.exec(['podman', ...chosen]);
}

/** What Podman says of a container: its address while it runs. */
async function addressOf({ host }: FleetHost, name: string, namespace: string): Promise<string | undefined> {
  const network = `coolify-${namespace}-mesh`;
  const format = `{{.State.Status}} {{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const { code, stdout } = await host.exec([
    'podman',
    'inspect',
    '--type',
    'container',
    '--format',
    format,
    name,
  ]);
  const [status, address] = stdout.trim().split(' ');
  return code === 0 && status === 'running' ? address : undefined;
}

function seenIn(rcode: string, addresses: readonly string[]): Seen | undefined {
  if (rcode === 'NXDOMAIN') return 'missing';
  return rcode === 'NOERROR' && addresses.length === 1 ? addresses[0] : undefined;
}

/** Asks for the same names by the hundred. */
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
