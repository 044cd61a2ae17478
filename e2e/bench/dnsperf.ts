import { runChild } from '@coold/runtime';
import type { Netns } from '@coold/testbed/netns';
import { type Measurement, summarise } from './load.ts';

export interface DnsLoad {
  server: string;
  /** The address that queries are sent from. */
  from: string;
  /** Path of a file with lines `name type`. */
  queries: string;
  durationMs: number;
  /** The number of clients; each has its own socket. */
  clients: number;
  /** The number of queries in flight at once. */
  outstanding: number;
  /** Queries per second; undefined: as many as are answered. */
  rate?: number;
}

/** Runs dnsperf and returns its own report. @throws Error when an answer is missing or is not NOERROR */
export async function runDnsperf(
  netns: Netns,
  load: DnsLoad,
): Promise<{ rate: number; latencies: number[] }> {
  const seconds = String(load.durationMs / 1000);
  // Reporting each query costs dnsperf too much when the maximum rate is measured.
  const eachQuery = load.rate === undefined ? [] : ['-v', '-Q', String(load.rate)];
  const { code, stdout, stderr } = await runChild(
    'nsenter',
    [
      ...[
        '-t',
        String(netns.pid),
        '-n',
        '--',
        'dnsperf',
        '-s',
        load.server,
        '-a',
        load.from,
        '-d',
        load.queries,
      ],
      ...['-l', seconds, '-c', String(load.clients), '-q', String(load.outstanding), ...eachQuery],
    ],
    { timeoutMs: load.durationMs + 30_000, maxOutputBytes: 256 * 1024 * 1024 },
  );
  const figure = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  const rate = figure(/Queries per second:\s+([\d.]+)/);
  const completed = figure(/Queries completed:\s+(\d+)/);
  const good = figure(/Response codes:\s+NOERROR (\d+)/);
  if (code !== 0 || !(completed > 0) || good !== completed)
    throw new Error(`dnsperf of ${load.server}: ${stderr}${stdout.slice(-2000)}`);
  const latencies = [...stdout.matchAll(/^> NOERROR .* ([\d.]+)$/gm)].map(([, time]) => Number(time) * 1000);
  return { rate, latencies };
}

/** Returns the maximum rate, and the latency at a load that every server can handle. */
export async function measureDns(
  netns: Netns,
  load: Omit<DnsLoad, 'rate'>,
  steadyRate: number,
): Promise<Measurement> {
  const { rate } = await runDnsperf(netns, load);
  const { latencies } = await runDnsperf(netns, { ...load, rate: steadyRate });
  return { ...summarise(latencies, load.durationMs), rate };
}
