// Loads docs/prometheus/ into Debian's Prometheus: its configuration, its alerts, and the faults that fire each. Needs
// root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeys } from '@coold/broker/token';
import { runChild } from '@coold/runtime';
import { scratchFolder, startProgram } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { soon } from '@coold/testbed/soon';
import { beforeAll, describe, expect, it } from 'vitest';
import { brokerMetrics, cooldMetrics, exportedNames, startMs } from './exported-metrics.ts';
import { metricNames } from './promql-names.ts';

const root = new URL('../', import.meta.url).pathname;
const folder = join(root, 'docs/prometheus');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const rules = read('docs/prometheus/alerts.yml');
const alerts = [...rules.matchAll(/- alert: (\w+)\n\s+expr: (?:'(.*)'|(.*))\n/g)].map(
  ([, name = '', quoted, bare = '']) => ({ name, expr: quoted ?? bare }),
);

interface Panel {
  description?: string;
  targets: { expr: string }[];
  fieldConfig: { defaults: { thresholds?: { steps: unknown[] } } };
}

async function promtool(...args: string[]): Promise<{ code: number | null; said: string }> {
  const { code, stdout, stderr } = await runChild('promtool', args, { timeoutMs: 60_000, cwd: folder });
  return { code, said: stdout + stderr };
}

it.each([
  ['the configuration', ['check', 'config', 'prometheus.yml']],
  ['the alerts', ['check', 'rules', 'alerts.yml']],
  ['what makes each alert fire', ['test', 'rules', 'alerts.test.yml']],
])('promtool accepts %s', async (_, args) => {
  const { code, said } = await promtool(...args);
  expect({ code, said }).toMatchObject({ code: 0, said: expect.stringContaining('SUCCESS') });
});

describe('the alerts', () => {
  const exported = new Set(['up']);
  beforeAll(async () => {
    await using scratch = await scratchFolder();
    for (const text of [await brokerMetrics(scratch.path), await cooldMetrics(scratch.path)])
      for (const name of exportedNames(text)) exported.add(name);
  }, 150_000);

  it('are exactly those in the file', () => {
    expect(alerts.length).toBeGreaterThan(20);
    expect(alerts).toHaveLength(rules.split('- alert:').length - 1);
  });

  it.each(alerts)('$name reads only exported metrics', ({ expr }) => {
    const names = metricNames(expr);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter(name => !exported.has(name))).toEqual([]);
  });

  it.each(alerts)('$name is fired by its fault in a test, and is silent when all is well', ({ name }) => {
    const tests = read('docs/prometheus/alerts.test.yml').split(/^ {2}- name: /m);
    const of = (title: string) => tests.filter(test => test.startsWith(`${name} ${title}\n`));
    const query = `count(ALERTS{alertname="${name}",alertstate="firing"})`;
    const [fires, ...more] = of('fires');
    expect(more).toEqual([]);
    expect(fires).toContain(query);
    expect(fires).toMatch(/exp_samples:\s+- labels: "\{\}"\s+value: 1\n/);
    const [silent] = of('is silent while all is well');
    expect(silent).toContain(query);
    expect(silent).toMatch(/exp_samples: \[\]\n/);
  });

  it.each(alerts)('$name is on a dashboard, with its threshold', ({ name, expr }) => {
    const { panels } = JSON.parse(
      read(`docs/grafana/${name.startsWith('Broker') ? 'broker' : 'coold'}.json`),
    ) as { panels: Panel[] };
    const [panel] = panels.filter(({ description = '' }) => new RegExp(`\\b${name}\\b`).test(description));
    if (panel === undefined) expect.fail(`no panel says that it shows ${name}`);
    const shown = panel.targets.flatMap(target => metricNames(target.expr));
    expect(metricNames(expr).filter(metric => shown.includes(metric))).not.toEqual([]);
    expect(panel.fieldConfig.defaults.thresholds?.steps.length).toBeGreaterThan(1);
  });

  it.each(alerts)('$name has a row with its remedy', ({ name }) => {
    expect(
      read('docs/troubleshooting.md')
        .split('\n')
        .filter(line => line.startsWith(`| \`${name}\` | `)),
    ).toHaveLength(1);
  });
});

describe('a Prometheus', () => {
  it('reads broker and coold without a token, and loads the alerts', async () => {
    await using scratch = await scratchFolder();
    const within = (name: string) => join(scratch.path, name);
    await writeFile(within('jwt.pub'), generateKeys().publicKey);
    // Everything runs in one namespace, so no port of this machine is used.
    const netns = await createNetns();
    try {
      await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
      await netns.exec('mkdir', ['/run/coolify']);
      await using broker = startProgram('broker', {
        inside: netns.pid,
        env: {
          BROKER_GRPC_BIND: '127.0.0.1:0',
          BROKER_JWT_PUBLIC_KEY_PATH: within('jwt.pub'),
          BROKER_UNIX_SOCKET_PATH: within('broker.sock'),
          BROKER_METRICS_BIND: '127.0.0.1:9465',
        },
      });
      await using coold = startProgram('coold', {
        inside: netns.pid,
        env: {
          COOLD_HOST_MGMT_IP: '100.64.0.7',
          COOLD_METRICS_BIND: '127.0.0.1:9464',
          COOLD_PODMAN_SOCKET: '/run/podman.sock',
          COOLD_CORROSION_URL: 'http://127.0.0.1:1',
          COOLD_RULES_PATH: within('allow.rules'),
          COOLD_BRIDGE_RULES_PATH: within('allow.nft'),
        },
      });
      for (const program of [broker, coold])
        await program.logged(({ msg }) => msg === 'serving metrics', startMs);
      const config = read('docs/prometheus/prometheus.yml')
        .replaceAll(/100\.64\.0\.5:9464", "100\.64\.0\.6:9464/g, '127.0.0.1:9464')
        .replaceAll('15s', '1s')
        .replaceAll('scrape_timeout: 10s', 'scrape_timeout: 1s');
      await writeFile(within('prometheus.yml'), config);
      await writeFile(within('alerts.yml'), rules);
      const args = [`--config.file=${within('prometheus.yml')}`, `--storage.tsdb.path=${within('data')}`];
      const prometheus = spawn(
        'nsenter',
        [
          '-t',
          String(netns.pid),
          '-n',
          '-m',
          '--',
          'prometheus',
          ...args,
          '--web.listen-address=127.0.0.1:9090',
        ],
        { stdio: 'ignore' },
      );
      try {
        const script = 'fetch(process.argv[1]).then(async answer => console.log(await answer.text()))';
        const ask = async (path: string) =>
          JSON.parse(
            (await netns.exec(process.execPath, ['-e', script, `http://127.0.0.1:9090${path}`])).stdout,
          ) as { data: unknown };
        const query = encodeURIComponent('{__name__=~"up|coold_podman_up"}');
        await soon(
          async () =>
            expect(await ask(`/api/v1/query?query=${query}`)).toMatchObject({
              data: {
                result: expect.arrayContaining([
                  expect.objectContaining({
                    metric: expect.objectContaining({ job: 'broker' }),
                    value: [expect.any(Number), '1'],
                  }),
                  expect.objectContaining({
                    metric: expect.objectContaining({ job: 'coold', __name__: 'up' }),
                    value: [expect.any(Number), '1'],
                  }),
                  expect.objectContaining({
                    metric: expect.objectContaining({ __name__: 'coold_podman_up' }),
                    value: [expect.any(Number), '0'],
                  }),
                ]),
              },
            }),
          { timeout: 30_000, interval: 500 },
        );
        const loaded = JSON.stringify(await ask('/api/v1/rules'));
        expect(alerts.filter(({ name }) => !loaded.includes(`"name":"${name}"`))).toEqual([]);
        await soon(
          async () => expect(JSON.stringify(await ask('/api/v1/alerts'))).toContain('"CooldPodmanDown"'),
          { timeout: 30_000, interval: 500 },
        );
      } finally {
        prometheus.kill('SIGTERM');
        await once(prometheus, 'exit');
      }
    } finally {
      await netns.close();
    }
  }, 120_000);
});
