import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installPackages } from '../harness/debian-packages.ts';
import { eventually } from '../harness/eventually.ts';
import type { FleetHost } from '../harness/fleet.ts';
import { expectExec, type HostSystem } from '../harness/provider.ts';

/** A Prometheus on a host, with the configuration and alerts of docs/prometheus. */
export interface RunningPrometheus {
  /**
   * Returns how many series of an expression have had a number since the start.
   *
   * @throws HarnessError for an invalid expression
   */
  everHad(expr: string): Promise<number>;
}

const folder = fileURLToPath(new URL('../../docs/prometheus/', import.meta.url));
const place = '/var/tmp/prometheus';
const address = '127.0.0.1:9090';

/**
 * Starts it. It runs until the host goes off. Resolves once it scrapes every program.
 *
 * @param read what it scrapes over wg0
 */
export async function startPrometheus(
  { host }: FleetHost,
  system: HostSystem,
  read: readonly FleetHost[],
): Promise<RunningPrometheus> {
  if ((await host.exec(['which', 'prometheus'])).code !== 0)
    await installPackages(host, system, ['prometheus']);
  const targets = (port: number) => read.map(({ mgmtIp }) => `"${mgmtIp}:${port}"`).join(', ');
  const config = readFileSync(`${folder}prometheus.yml`, 'utf8')
    .replace('"127.0.0.1:9465"', targets(9465))
    .replace('"100.64.0.5:9464", "100.64.0.6:9464"', targets(9464))
    .replaceAll('15s', '5s')
    .replace('scrape_timeout: 10s', 'scrape_timeout: 4s');
  await host.put(config, `${place}/prometheus.yml`, 0o644);
  await host.put({ file: `${folder}alerts.yml` }, `${place}/alerts.yml`, 0o644);
  const startedAt = Date.now() / 1000;
  await expectExec(host, [
    ...(['systemd-run', '--quiet', '--unit', 'e2e-prometheus', '--', 'prometheus'] as const),
    ...[`--config.file=${place}/prometheus.yml`, `--storage.tsdb.path=${place}/data`],
    `--web.listen-address=${address}`,
  ]);
  const everHad = async (expr: string) => {
    const values = { query: expr, start: String(startedAt), end: String(Date.now() / 1000), step: '5' };
    const given = Object.entries(values).flatMap(([name, value]) => ['--data-urlencode', `${name}=${value}`]);
    const url = `http://${address}/api/v1/query_range`;
    const said = await expectExec(host, [
      'curl',
      '--silent',
      '--show-error',
      '--fail-with-body',
      ...given,
      url,
    ]);
    const { data } = JSON.parse(said) as { data: { result: { values: [number, string][] }[] } };
    const isNumber = ([, value]: [number, string]) => Number.isFinite(Number(value));
    return data.result.filter(({ values }) => values.some(isNumber)).length;
  };
  const programs = 2 * read.length;
  await eventually(
    'Prometheus to read every program',
    async () => (await everHad('up == 1').catch(() => 0)) === programs || undefined,
    { timeoutMs: 60_000, everyMs: 1000 },
  );
  return { everHad };
}
