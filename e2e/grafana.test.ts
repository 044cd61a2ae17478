// The dashboards ask for metrics that there are: those that both programs export, as processes. Needs root.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeys } from '@coold/broker/token';
import { scratchFolder, startProgram, unixHttp } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { beforeAll, describe, expect, it } from 'vitest';
import { metricNames } from './promql-names.ts';

interface Dashboard {
  uid: string;
  panels: { title: string; targets: { expr: string }[] }[];
}

const readDashboard = async (name: string) =>
  JSON.parse(await readFile(new URL(`../docs/grafana/${name}.json`, import.meta.url), 'utf8')) as Dashboard;

/** What can be asked for by the text of /metrics; a histogram's parts each have a name. */
function exportedNames(text: string): Set<string> {
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
  );
  return new Set(names);
}

async function brokerMetrics(folder: string): Promise<string> {
  const [socketPath, publicKey] = [join(folder, 'broker.sock'), join(folder, 'jwt.pub')];
  await writeFile(publicKey, generateKeys().publicKey);
  await using broker = startProgram('broker', {
    env: {
      BROKER_GRPC_BIND: '127.0.0.1:0',
      BROKER_JWT_PUBLIC_KEY_PATH: publicKey,
      BROKER_UNIX_SOCKET_PATH: socketPath,
    },
  });
  await broker.logged(line => line.msg === 'listening for Laravel', startMs);
  await using http = unixHttp(socketPath);
  return (await http.request({ path: '/metrics' })).text;
}

async function cooldMetrics(folder: string): Promise<string> {
  const jwt = join(folder, 'jwt');
  await writeFile(jwt, 'a.b.c', { mode: 0o600 });
  const netns = await createNetns();
  try {
    await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
    await netns.exec('mkdir', ['/run/coolify']);
    await using coold = startProgram('coold', {
      inside: netns.pid,
      env: {
        COOLD_HOST_MGMT_IP: '100.64.0.7',
        COOLD_BROKER_URL: 'grpc://127.0.0.1:1/v1/agent',
        COOLD_HOST_JWT_PATH: jwt,
        COOLD_PODMAN_SOCKET: '/run/podman.sock',
        COOLD_CORROSION_URL: 'http://127.0.0.1:1',
        COOLD_RULES_PATH: join(folder, 'allow.rules'),
        COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
        COOLD_BUILDER_ENABLED: '1',
        COOLD_BUILDER_WORK_DIR: join(folder, 'builds'),
      },
    });
    await coold.logged(line => line.msg === 'serving status and metrics', startMs);
    const script = `require('node:http').get({ socketPath: '/run/coolify/coold.sock', path: '/metrics' }, answer => answer.pipe(process.stdout))`;
    return (await netns.exec(process.execPath, ['-e', script])).stdout;
  } finally {
    await netns.close();
  }
}

/** What a program may take to start on a machine that is busy, in ms. */
const startMs = 60_000;

describe('the dashboard of', () => {
  const exported = new Map<string, Set<string>>();
  beforeAll(async () => {
    await using folder = await scratchFolder();
    exported.set('broker', exportedNames(await brokerMetrics(folder.path)));
    exported.set('coold', exportedNames(await cooldMetrics(folder.path)));
  }, 150_000);

  it.each(['broker', 'coold'])('%s asks for what it exports, and shows all that is its own', async name => {
    const { panels } = await readDashboard(name);
    const known = exported.get(name) ?? new Set();
    const asked = new Set<string>();
    for (const { title, targets } of panels) {
      expect(targets.length, title).toBeGreaterThan(0);
      for (const { expr } of targets) {
        const names = metricNames(expr);
        expect(names.length, expr).toBeGreaterThan(0);
        expect(
          names.filter(metric => !known.has(metric)),
          `${title}: ${expr}`,
        ).toEqual([]);
        for (const metric of names) asked.add(metric);
      }
    }
    const families = [...known].filter(metric => metric.startsWith(`${name}_`) && !metric.endsWith('_sum'));
    const byHistogram = (metric: string) => asked.has(metric.replace(/_(bucket|count)$/, '_bucket'));
    expect(families.filter(metric => !asked.has(metric) && !byHistogram(metric))).toEqual([]);
  });
});

describe('the names in an expression', () => {
  it.each([
    ['sum by (le, verb) (rate(a_b:c_total{x="y_total{",z=~"$i"}[5m]))', ['a_b:c_total']],
    ['histogram_quantile(0.99, sum(rate(h_bucket[5m]))) or vector(0)', ['h_bucket']],
    ['up{job="a"} and on (instance) build_info == 1', ['up', 'build_info']],
    ['a / b offset 5m > bool 1e3', ['a', 'b']],
  ])('%s', (expr, names) => expect(metricNames(expr)).toEqual(names));
});
