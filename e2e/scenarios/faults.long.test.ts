// Makes every fault of e2e/faults/table.ts on an installed host: status, journal, metrics and alerts report it, and all
// are green again once it is repaired. docs/troubleshooting.md shows the same table.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type AskedAlerts, askAlerts, hasValue, type Scrape } from '../faults/alerts.ts';
import { dashboardQueries } from '../faults/dashboards.ts';
import { createFaultGround, type FaultGround, outsideName } from '../faults/ground.ts';
import { journalSince, metricsOf, type ProgramName, verdictOf } from '../faults/look.ts';
import { makings } from '../faults/make.ts';
import { type Fault, faults, type Seer, type Sign } from '../faults/table.ts';
import { eventually } from '../harness/eventually.ts';
import { askLane, type FleetHost } from '../harness/fleet.ts';
import { systemOf } from '../harness/lab/root.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import { metricNames } from '../promql-names.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
/** The longest is a host without power: WireGuard and the broker take three minutes to detect it. */
const seenMs = 300_000;
/** On a busy machine, Podman may take longer than status waits. */
const greenMs = 600_000;
/** Programs count their problems every 15 s; a broker counts as dead after 30 s. */
const alertsMs = 180_000;
const faultMs = 2 * greenMs + 2 * seenMs + alertsMs;

/** All of them take over half an hour: `npm run e2e -- "the fault"` makes all, otherwise only these are made. */
const whole = process.env['E2E_FAULTS'] === 'whole';
const shortly: readonly string[] = [
  ...['disk full', 'clock an hour ahead', 'Podman stopped', 'Podman hung', 'packet filter emptied'],
  'broker gone',
];
const made = faults.filter(({ name }) => whole || shortly.includes(name));

let provider: Provider;
let given: FaultGround;
/**
 * The metrics when all was green after the last fault; undefined when it was not, or when something else was done
 * since.
 */
let lastGreen: Scrape[] | undefined;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  const folder = cleanup.use(await scratchFolder());
  const ground = await chooseGround();
  provider = ground.provider;
  const system = systemOf(readFileSync('/etc/os-release', 'utf8'));
  if (system === undefined) throw new Error('this machine runs no system that packages are installed for');
  given = await createFaultGround(ground, system, folder.path);
  await allGreen();
}, setUpMs);
afterAll(async () => {
  await provider?.close();
  await cleanup.disposeAsync();
}, setUpMs);
beforeEach(() => journalsOnFailure(given.fleet));

/** The host and program of each seer. */
const seers = (): Record<Seer, { member: FleetHost; program: ProgramName }> => ({
  'the host': { member: given.host, program: 'coold' },
  'another host': { member: given.central, program: 'coold' },
  'the broker': { member: given.central, program: 'broker' },
  'another broker': { member: given.host, program: 'broker' },
});

type Reader = 'the first host' | 'each machine itself';

async function scrapeAll(by: Reader = 'the first host'): Promise<Scrape[]> {
  return await Promise.all(
    Object.values(seers()).map(async ({ member, program }) => ({
      job: program,
      instance: member.name,
      text: await metricsOf(member, program, by === 'the first host' ? given.central : undefined),
    })),
  );
}

/**
 * Resolves once exactly these alerts fire, except for those that may fire too. After a time limit, returns those that
 * fire then.
 */
async function firedInTheEnd(
  { alerts, later = [] }: { alerts: readonly string[]; later?: readonly string[] | undefined },
  ask: () => Promise<Pick<AskedAlerts, 'now' | 'grown'>>,
  before: readonly Scrape[],
): Promise<string[]> {
  const wanted = alerts.toSorted();
  let fired: string[] | undefined;
  let failure: unknown;
  // A single measurement is evaluated as if it lasted, so it is repeated in case a busy machine was slow just then.
  await eventually(
    `the alerts ${wanted.join(', ')}, and no others`,
    async () => {
      try {
        const asked = await askAlerts({ before, ...(await ask()) });
        fired = asked.fired.filter(name => wanted.includes(name) || !later.includes(name)).toSorted();
      } catch (error) {
        failure = error;
        return undefined;
      }
      return fired.join() === wanted.join() || undefined;
    },
    { timeoutMs: alertsMs, everyMs: 3000 },
  ).catch(() => {});
  // No measurement was possible.
  if (fired === undefined) throw failure;
  return fired;
}

/**
 * Resolves once each status names no problem and no alert is about to fire, with the metrics of that moment. The
 * programs are checked one after the other, and not again once healthy: on a busy machine Podman is at any moment too
 * slow for one of them.
 */
async function allGreen(): Promise<Scrape[]> {
  let last = '';
  const left = new Map(Object.entries(seers()));
  return await eventually(
    'every status to be without a problem',
    async () => {
      for (const [seer, { member, program }] of left) {
        const verdict = await verdictOf(member, program);
        last = JSON.stringify({ seer, verdict });
        if (verdict === null || verdict.problems.length + verdict.starting.length > 0) return undefined;
        left.delete(seer);
      }
      const now = await scrapeAll();
      const { fired } = await askAlerts({ before: now, now });
      last = JSON.stringify({ fired });
      return fired.length === 0 ? now : undefined;
    },
    { timeoutMs: greenMs, everyMs: 1000 },
  ).catch((cause: unknown) => {
    throw new Error(`not green: ${last}`, { cause });
  });
}

/** Resolves once a sign appears in status, journal and metrics; an error names what is missing. */
async function seen({ of, problem, log, metric }: Sign, since: Date): Promise<void> {
  const { member, program } = seers()[of];
  let missing = '';
  await eventually(
    `${of} to tell of it`,
    async () => {
      const problems = problem === undefined ? [] : (await verdictOf(member, program))?.problems;
      const hasProblem = problem === undefined || (problems?.some(text => text.includes(problem)) ?? false);
      const hasLog = log === undefined || (await journalSince(member, program, since)).includes(log);
      const now: Scrape = { job: program, instance: member.name, text: await metricsOf(member, program) };
      const hasMetric = metric === undefined || (await hasValue(metric, [now]));
      missing = [
        ...(hasProblem ? [] : [`PROBLEM ${problem}, but ${JSON.stringify(problems)}`]),
        ...(hasLog ? [] : [`a line ${log}`]),
        ...(hasMetric ? [] : [metric]),
      ].join('; ');
      return missing === '' ? true : undefined;
    },
    { timeoutMs: seenMs, everyMs: 1000 },
  ).catch((cause: unknown) => {
    throw new Error(`${of} does not tell of it: missing is ${missing}`, { cause });
  });
}

test.each<Fault>(made)(
  'the fault $name is told, and all is green again once it is mended',
  async fault => {
    const making = Object.entries(makings).find(([name]) => name === fault.name)?.[1];
    if (making === undefined) expect.fail(`nothing makes ${fault.name}`);
    const before = lastGreen ?? (await allGreen());
    lastGreen = undefined;
    const since = new Date();
    try {
      await making.make(given);
      for (const sign of fault.signs) await seen(sign, since);
      const { meanwhile } = making;
      const ask = async () => {
        const now = await scrapeAll();
        if (meanwhile === undefined) return { now };
        const begunAt = performance.now();
        await meanwhile(given);
        return { now, grown: { scrapes: await scrapeAll(), afterS: (performance.now() - begunAt) / 1000 } };
      };
      expect(await firedInTheEnd(fault, ask, before)).toEqual(fault.alerts.toSorted());
      if (fault.readThere !== undefined) {
        const there = { alerts: fault.readThere, later: fault.later };
        const read = async () => ({ now: await scrapeAll('each machine itself') });
        expect(await firedInTheEnd(there, read, before)).toEqual(fault.readThere.toSorted());
      }
    } finally {
      await making.mend(given);
    }
    lastGreen = await allGreen();
  },
  faultMs,
);

if (whole)
  test(
    'a reboot is none of the faults: status names no problem in the first minute',
    async () => {
      await allGreen();
      const { host } = given;
      const since = new Date();
      await host.host.reboot();
      const bootedAt = performance.now();
      const red: string[] = [];
      let asked = 0;
      while (performance.now() - bootedAt < 60_000) {
        for (const program of ['coold', 'broker'] as const)
          red.push(...((await verdictOf(host, program))?.problems ?? [`${program} does not answer`]));
        asked += 1;
        await delay(500);
      }
      expect([...new Set(red)]).toEqual([]);
      expect(asked).toBeGreaterThan(10);
      for (const program of ['coold', 'broker'] as const)
        expect(await journalSince(host, program, since)).not.toContain('PROBLEM: ');
      await allGreen();
    },
    faultMs,
  );

/** Metrics that nothing has incremented here, so that Prometheus has no series: these brokers get no invalid frames. */
const nothingToCount = new Set(['broker_ignored_frames_total']);

/** Causes something that no healthy fleet counts: a refused token. */
async function refuseToken(): Promise<void> {
  const { make, mend } = makings['token ended'];
  try {
    await make(given);
    await eventually(
      'Prometheus to read of a refused token',
      async () => (await given.prometheus.everHad('broker_auth_failures_total')) > 0 || undefined,
      { timeoutMs: seenMs, everyMs: 1000 },
    );
  } finally {
    await mend(given);
  }
  await given.fleet.allConnected(seenMs);
}

/** Generates a fleet's everyday activity, a few times for each kind. */
async function work(round: number): Promise<void> {
  const { central, host } = given;
  const command = { type: 'list_containers' };
  // Each broker is asked for each host and forwards requests for the other's. One is asked for a host that does not
  // exist.
  for (const from of [central, host])
    for (const to of [central.name, host.name, 'nobody']) {
      const body = { host_id: to, request_id: `work-${round}-${from.name}-${to}`, command };
      await askLane(from, 'POST', '/v1/coold/dispatch', JSON.stringify(body));
    }
  // Each coold's stream goes to the first broker, so this build is forwarded by the other. Its result does not matter.
  const site = {
    repo_url: 'https://git.example.test/site.git',
    git_ref: 'main',
    target_image: 'localhost/site:1',
  };
  const build = {
    request_id: `work-${round}`,
    host_id: host.name,
    command: { type: 'static_build', ...site },
  };
  await askLane(host, 'POST', '/v1/build/dispatch', JSON.stringify(build));
  const server = `@${host.namespaces['default']?.gateway}`;
  // One in 64 answers from the zone is measured.
  const names = 'web-b.default.coolify.internal A\n'.repeat(300);
  await host.host.put(names, '/var/tmp/names', 0o644);
  await expectExec(host.host, ['dig', server, '+short', '-f', '/var/tmp/names'], { timeoutMs: 120_000 });
  await host.host.exec(['dig', server, '+short', outsideName]);
  await host.host.exec(['dig', server, '+short', `not-${round}-cached.example.test`]);
}

if (whole)
  test(
    'every dashboard query has had data after one of the faults and some activity',
    async () => {
      const { prometheus } = given;
      await refuseToken();
      // A query that had data once passes, so only the others are asked again.
      let empty = dashboardQueries().filter(
        ({ expr }) => !metricNames(expr).every(name => nothingToCount.has(name)),
      );
      let round = 0;
      await eventually(
        'Prometheus to have it all',
        async () => {
          round += 1;
          await work(round);
          const counts = await Promise.all(empty.map(({ expr }) => prometheus.everHad(expr)));
          empty = empty.filter((_, index) => counts[index] === 0);
          return empty.length === 0 || undefined;
        },
        { timeoutMs: alertsMs, everyMs: 5000 },
      ).catch(() => {});
      expect(empty).toEqual([]);
    },
    faultMs,
  );
