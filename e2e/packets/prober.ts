import { HarnessError, type Host } from '../harness/provider.ts';

/** What prober.py is told, in JSON. */
export interface ProberSpec {
  /** Unix times in seconds: everything listens before the first, and the report is made at the second. */
  begin: number;
  end: number;
  /** Network namespaces by name: a process in each, 0 for the host's own. */
  spaces: Record<string, number>;
  /** `name` is what its arrivals are reported under; default the namespace. `outgoing`: what leaves instead. */
  watch: { space: string; name?: string; interface?: string; outgoing?: true }[];
  serve: { space: string; proto: 'tcp' | 'udp'; port: number }[];
  probes: Probe[];
}

export interface Probe {
  /** Its packets carry it: less than 10000, and of no other probe of the last minute. */
  number: number;
  space: string;
  kind: 'tcp' | 'udp' | 'flood' | 'icmp' | 'raw';
  to: string;
  port?: number;
  /** Of a link-local address. */
  interface?: string;
  size?: number;
  /** Hexadecimal; in place of a numbered payload. */
  payload?: string;
  connectOnly?: true;
  /** The connection is held, and its server sends packets of this number back. */
  back?: number;
  form?: string;
  source?: string;
}

export interface ProberReport {
  /** When everything was listening. */
  ready: number;
  results: Record<string, ProbeResult>;
  arrivals: Arrival[];
}

export interface ProbeResult {
  answered: boolean;
  /** The sender's address as the server saw it. */
  peer?: string;
  /** An ICMP error came back. */
  refused?: true;
  error?: string;
}

export interface Arrival {
  number: number;
  space: string;
  source: string;
  target: string;
  first: number;
  last: number;
  count: number;
}

/** Where the numbers of probes start again; a flow of the same number was forgotten by then. */
const numbers = 10_000;

/** Gives out numbers for probes. */
export function probeNumbers(): () => number {
  let last = 0;
  return () => {
    last = (last + 1) % numbers;
    return last;
  };
}

/** Runs the prober on a host. @throws HarnessError */
export async function probe(host: Host, path: string, spec: ProberSpec): Promise<ProberReport> {
  const timeoutMs = (spec.end - Date.now() / 1000) * 1000 + 20_000;
  const { code, stdout, stderr } = await host.exec(['python3', path], {
    input: JSON.stringify(spec),
    timeoutMs,
    maxOutputBytes: 32 << 20,
  });
  if (code !== 0) throw new HarnessError(`${host.name}: the prober failed: ${stderr.trim().slice(-600)}`);
  return JSON.parse(stdout) as ProberReport;
}
