// Checks that the dashboards query only metrics that both programs export. Runs the programs; needs root.
import { readFile } from 'node:fs/promises';
import { scratchFolder } from '@coold/testbed';
import { beforeAll, describe, expect, it } from 'vitest';
import { brokerMetrics, cooldMetrics, exportedNames } from './exported-metrics.ts';
import { metricNames } from './promql-names.ts';

interface Dashboard {
  uid: string;
  panels: { title: string; targets: { expr: string }[] }[];
}

const readDashboard = async (name: string) =>
  JSON.parse(await readFile(new URL(`../docs/grafana/${name}.json`, import.meta.url), 'utf8')) as Dashboard;

describe('the dashboard of', () => {
  const exported = new Map<string, Set<string>>();
  beforeAll(async () => {
    await using folder = await scratchFolder();
    exported.set('broker', exportedNames(await brokerMetrics(folder.path)));
    exported.set('coold', exportedNames(await cooldMetrics(folder.path)));
  }, 150_000);

  it.each(['broker', 'coold'])(
    '%s queries only exported metrics, and shows all metrics of its program',
    async name => {
      const { panels } = await readDashboard(name);
      const known = exported.get(name) ?? new Set();
      const asked = new Set<string>();
      for (const { title, targets } of panels) {
        expect(targets.length, title).toBeGreaterThan(0);
        for (const { expr } of targets) {
          const names = metricNames(expr);
          expect(names.length, expr).toBeGreaterThan(0);
          expect(
            // Prometheus itself writes whether it can scrape a program.
            names.filter(metric => metric !== 'up' && !known.has(metric)),
            `${title}: ${expr}`,
          ).toEqual([]);
          for (const metric of names) asked.add(metric);
        }
      }
      const families = [...known].filter(metric => metric.startsWith(`${name}_`) && !metric.endsWith('_sum'));
      const byHistogram = (metric: string) => asked.has(metric.replace(/_(bucket|count)$/, '_bucket'));
      expect(families.filter(metric => !asked.has(metric) && !byHistogram(metric))).toEqual([]);
    },
  );
});

describe('the names in an expression', () => {
  it.each([
    ['sum by (le, verb) (rate(a_b:c_total{x="y_total{",z=~"$i"}[5m]))', ['a_b:c_total']],
    ['histogram_quantile(0.99, sum(rate(h_bucket[5m]))) or vector(0)', ['h_bucket']],
    ['up{job="a"} and on (instance) build_info == 1', ['up', 'build_info']],
    ['a / b offset 5m > bool 1e3', ['a', 'b']],
  ])('%s', (expr, names) => expect(metricNames(expr)).toEqual(names));
});
