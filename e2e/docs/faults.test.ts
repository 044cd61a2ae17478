// Checks the table of faults against what it names: alerts, the code that makes each fault, and signs.
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { askAlerts, readAlerts } from '../faults/alerts.ts';
import { makings } from '../faults/make.ts';
import { faultRows } from '../faults/page.ts';
import { type Fault, faults } from '../faults/table.ts';
import { metricNames } from '../promql-names.ts';

const table: readonly Fault[] = faults;
const alerts = readAlerts().map(({ name }) => name);

it('every fault can be made, is reported somewhere, fires an existing alert, and has a remedy', () => {
  expect(Object.keys(makings).toSorted()).toEqual(table.map(({ name }) => name).toSorted());
  for (const { name, signs, alerts: named, later = [], readThere = [], remedy } of table) {
    expect(signs.filter(sign => sign.problem ?? sign.log ?? sign.metric).length, name).toBeGreaterThan(0);
    // Faults that only slow things down are reported by metrics alone.
    expect(signs.some(({ log }) => log !== undefined) || name.endsWith(' slow'), name).toBe(true);
    expect(named.length, name).toBeGreaterThan(0);
    expect(
      [...named, ...later, ...readThere].filter(alert => !alerts.includes(alert)),
      name,
    ).toEqual([]);
    for (const { metric } of signs)
      if (metric !== undefined) expect(metricNames(metric), name).not.toEqual([]);
    expect(remedy.length, name).toBeGreaterThan(20);
  }
});

it('every alert is fired by a fault', () => {
  const fired = new Set(table.flatMap(({ alerts: named, readThere = [] }) => [...named, ...readThere]));
  expect(alerts.filter(alert => !fired.has(alert))).toEqual([]);
});

/** Log lines of systemd and OpenSSL. */
const notOurs = [
  "broker.service: Failed with result 'signal'",
  'Stopped broker.service',
  'certificate has expired',
];

it('every journal line is one that a program writes', () => {
  const cwd = fileURLToPath(new URL('../../packages', import.meta.url));
  const sources = globSync('*/src/**/*.ts', { cwd })
    .filter(path => !path.endsWith('.test.ts'))
    .map(path => readFileSync(`${cwd}/${path}`, 'utf8'))
    .join('\n');
  const lines = table
    .flatMap(({ signs }) => signs.map(({ log }) => log))
    // A `PROBLEM` line contains values of the moment.
    .filter(log => log !== undefined && !log.startsWith('PROBLEM: ') && !notOurs.includes(log))
    // The line begins or ends within a field's value.
    .map(log => log?.replace(/^\W+/, '').replace(/ \($/, '') ?? '');
  expect(lines.length).toBeGreaterThan(15);
  expect(lines.filter(line => !sources.includes(line))).toEqual([]);
});

it('the page has a row for each fault, with every sign', () => {
  const rows = faultRows(table);
  expect(rows).toHaveLength(table.length);
  const [row = []] = faultRows([
    {
      name: 'Podman stopped',
      signs: [
        {
          of: 'the host',
          problem: 'Podman does not answer: ',
          log: 'podman does not',
          metric: 'coold_podman_up == 0',
        },
      ],
      alerts: ['CooldPodmanDown'],
      remedy: 'start it',
    },
  ]);
  expect(row).toEqual([
    'Podman stopped',
    '`coold status`: `PROBLEM: Podman does not answer: …`<br>journal of coold: `podman does not`<br>`coold_podman_up == 0`<br>alerts: `CooldPodmanDown`',
    'start it',
  ]);
});

it('promtool says which alerts fire for real metrics, and which expressions have a value', async () => {
  const of = (up: number) => ({
    ...({ job: 'coold', instance: 'b' } as const),
    text: `# HELP coold_podman_up x\ncoold_podman_up ${up}\ncoold_firewall_deny_repairs_total ${1 - up}\n`,
  });
  const metrics = ['coold_podman_up == 0', 'coold_podman_up == 1'];
  expect(await askAlerts({ before: [of(1)], now: [of(1)], metrics })).toEqual({
    fired: [],
    without: ['coold_podman_up == 0'],
  });
  const broken = await askAlerts({ before: [of(1)], now: [of(0)], metrics });
  expect(broken.fired.toSorted()).toEqual(['CooldDefaultDenyRepaired', 'CooldPodmanDown']);
  expect(broken.without).toEqual(['coold_podman_up == 1']);
  expect((await askAlerts({ before: [of(1)], now: [{ ...of(1), text: null }] })).fired).toEqual([
    'CooldDown',
  ]);
}, 120_000);

it('an increase of a counter is judged as if it went on', async () => {
  const of = (slow: number) => ({
    ...({ job: 'coold', instance: 'b' } as const),
    text: ['0.5', '2', '4', '+Inf']
      .map(
        le =>
          `coold_podman_request_duration_seconds_bucket{le="${le}",outcome="ok"} ${Number(le) < 4 ? 9 : 9 + slow}\n`,
      )
      .join(''),
  });
  const [before, now] = [[of(0)], [of(1)]];
  expect((await askAlerts({ before, now })).fired).toEqual([]);
  expect((await askAlerts({ before, now, grown: { scrapes: [of(3)], afterS: 20 } })).fired).toEqual([
    'CooldPodmanSlow',
  ]);
  expect((await askAlerts({ before, now, grown: { scrapes: now, afterS: 20 } })).fired).toEqual([]);
}, 120_000);
