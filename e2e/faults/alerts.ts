import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { metricNames } from '../promql-names.ts';

/** A program's metrics at one moment, as Prometheus would read them. */
export interface Scrape {
  job: 'coold' | 'broker';
  /** The host's name. */
  instance: string;
  /** The text of /metrics; null when it could not be read, which is `up == 0`. */
  text: string | null;
}

export interface AskedAlerts {
  /** The metrics before the fault. */
  before: readonly Scrape[];
  /** The metrics during the fault. They are assumed to stay like this. */
  now: readonly Scrape[];
  /** The metrics a while later. Counters are assumed to go on growing at the same rate. */
  grown?: { scrapes: readonly Scrape[]; afterS: number };
  /** Expressions that must have a value now. */
  metrics?: readonly string[];
}

const rulesPath = fileURLToPath(new URL('../../docs/prometheus/alerts.yml', import.meta.url));
/** In minutes: when the fault begins, and when alerts are read. The longest wait of an alert is an hour. */
const [beginsAt, askedAt] = [30, 110];

/** Returns the alerts of docs/prometheus, by name and expression. */
export function readAlerts(): { name: string; expr: string }[] {
  const text = readFileSync(rulesPath, 'utf8');
  return [...text.matchAll(/- alert: (\w+)\n\s+expr: (?:'(.*)'|(.*))\n/g)].map(
    ([, name = '', quoted, bare = '']) => ({ name, expr: quoted ?? bare }),
  );
}

/**
 * Lets promtool evaluate the alerts with real metrics that continue for more than an hour.
 *
 * @returns the alerts that fired at some time, and the expressions of `metrics` without a value
 * @throws Error with promtool's output when it fails otherwise
 */
export async function askAlerts(asked: AskedAlerts): Promise<{ fired: string[]; without: string[] }> {
  const alerts = readAlerts();
  const { metrics = [] } = asked;
  const { withValue } = await ask(asked, {
    names: [...alerts.map(({ expr }) => expr), ...metrics].flatMap(metricNames),
    rules: [rulesPath],
    questions: [
      ...alerts.map(({ name }) => ({
        key: name,
        expr: `count(count_over_time(ALERTS{alertname="${name}",alertstate="firing"}[${askedAt}m]))`,
      })),
      ...metrics.map(metric => ({ key: metric, expr: `count(${metric})` })),
    ],
  });
  return {
    fired: alerts.map(({ name }) => name).filter(name => withValue.includes(name)),
    without: metrics.filter(metric => !withValue.includes(metric)),
  };
}

/**
 * Whether an expression has a value with these metrics, according to promtool. Evaluates no alerts, which would take
 * longer.
 */
export async function hasValue(metric: string, scrapes: readonly Scrape[]): Promise<boolean> {
  const { withValue } = await ask(
    { before: scrapes, now: scrapes },
    { names: metricNames(metric), rules: [], questions: [{ key: metric, expr: `count(${metric})` }] },
  );
  return withValue.includes(metric);
}

interface Asking {
  /** The metrics that are needed. */
  names: readonly string[];
  rules: readonly string[];
  questions: readonly { key: string; expr: string }[];
}

async function ask(
  asked: AskedAlerts,
  { names, rules, questions }: Asking,
): Promise<{ withValue: string[] }> {
  // No expression is expected to have a value, so promtool names those that have one.
  const series = seriesOf(asked, new Set(names));
  const file = {
    rule_files: rules,
    evaluation_interval: '30s',
    tests: [
      {
        interval: '1m',
        input_series: series,
        promql_expr_test: questions.map(({ expr }) => ({ expr, eval_time: `${askedAt}m`, exp_samples: [] })),
      },
    ],
  };
  await using folder = await scratchFolder();
  const path = join(folder.path, 'faults.test.yml');
  // JSON is valid YAML.
  await writeFile(path, JSON.stringify(file));
  const { stdout, stderr } = await runChild('promtool', ['test', 'rules', path], { timeoutMs: 120_000 });
  const said = stdout + stderr;
  const valued = new Set(
    [...said.matchAll(/^\s*expr: ("(?:[^"\\]|\\.)*"), time: .*,\n\s*exp: ?nil\n/gm)].map(([, expr = '""']) =>
      String(JSON.parse(expr)),
    ),
  );
  if (!said.includes('SUCCESS') && valued.size === 0) throw new Error(`promtool: ${said.slice(-2000)}`);
  return { withValue: questions.filter(({ expr }) => valued.has(expr)).map(({ key }) => key) };
}

function seriesOf(
  { before, now, grown }: AskedAlerts,
  names: ReadonlySet<string>,
): { series: string; values: string }[] {
  const first = valuesOf(before, names);
  const then = valuesOf(now, names);
  const last = grown === undefined ? then : valuesOf(grown.scrapes, names);
  const all = new Set([...first.keys(), ...then.keys(), ...last.keys()]);
  return [...all].map(series => {
    const gained = isCounter(series) ? Number(last.get(series) ?? 0) - Number(then.get(series) ?? 0) : 0;
    const perMinute = grown === undefined ? 0 : Math.max(0, (gained / grown.afterS) * 60);
    const minutes = askedAt - beginsAt;
    return {
      series,
      values: `${held(first.get(series), beginsAt)} ${held(last.get(series), minutes, perMinute)}`,
    };
  });
}

const isCounter = (series: string) => /_(?:total|count|sum|bucket)\{/.test(series);

/** Returns this many minutes of a value; undefined means that nothing was read. */
const held = (value: string | undefined, minutes: number, perMinute = 0) =>
  value === undefined ? `_x${minutes - 1}` : `${value}+${perMinute.toFixed(3)}x${minutes - 1}`;

function valuesOf(scrapes: readonly Scrape[], names: ReadonlySet<string>): Map<string, string> {
  const values = new Map<string, string>();
  for (const { job, instance, text } of scrapes) {
    const own = `job="${job}",instance="${instance}"`;
    values.set(`up{${own}}`, text === null ? '0' : '1');
    for (const line of (text ?? '').split('\n')) {
      const [, name = '', labels = '', value = ''] =
        /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (!names.has(name) || !Number.isFinite(Number(value))) continue;
      values.set(`${name}{${labels === '' ? '' : `${labels},`}${own}}`, String(Number(value)));
    }
  }
  return values;
}
