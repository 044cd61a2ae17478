import { expectExec, HarnessError, type Host } from '../harness/provider.ts';

/** The configuration of prober.py, as JSON. */
export interface ProberSpec {
  /** The control folder on the host, for this measurement only. */
  folder: string;
  /** Network namespaces by name, each with a process in it; 0 is the host's own. */
  spaces: Record<string, number>;
  /** `name` labels its arrivals; default: the namespace. `outgoing` watches leaving packets instead. */
  watch: { space: string; name?: string; interface?: string; outgoing?: true }[];
  serve: { space: string; proto: 'tcp' | 'udp'; port: number }[];
  probes: Probe[];
}

export interface Probe {
  /** Part of its packets: below 10000, and unused by other probes within the last minute. */
  number: number;
  space: string;
  kind: 'tcp' | 'udp' | 'flood' | 'icmp' | 'raw';
  to: string;
  port?: number;
  /** The interface for a link-local address. */
  interface?: string;
  size?: number;
  /** Hexadecimal; replaces the numbered payload. */
  payload?: string;
  connectOnly?: true;
  /** The connection is held, and its server sends packets with this number back. */
  back?: number;
  form?: string;
  source?: string;
}

export interface ProberReport {
  results: Record<string, ProbeResult>;
  arrivals: Arrival[];
}

export interface ProbeResult {
  answered: boolean;
  /** The sender's address as seen by the server. */
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

/** Probe numbers wrap here; by then the kernel has forgotten the flow with the same number. */
const numbers = 10_000;

/** Returns a function that allocates probe numbers. */
export function probeNumbers(): () => number {
  let last = 0;
  return () => {
    last = (last + 1) % numbers;
    return last;
  };
}

/** A prober that listens and watches, and has not sent anything yet. */
export interface Prober {
  begin(): Promise<void>;
  /** Stops sending and returns the report. @throws HarnessError when the prober has failed */
  end(): Promise<ProberReport>;
}

/** How long a prober runs without control; the same as in prober.py. */
const longestMs = 180_000;

/** Starts a prober on a host and resolves when it listens. @throws HarnessError */
export async function startProber(host: Host, path: string, spec: ProberSpec): Promise<Prober> {
  const { folder } = spec;
  const running = host.exec(['python3', path], {
    input: JSON.stringify(spec),
    timeoutMs: 2 * longestMs,
    maxOutputBytes: 32 << 20,
  });
  const failed = running.then(({ code, stderr }): never => {
    throw new HarnessError(`${host.name}: the prober ended (${code}): ${stderr.trim().slice(-600)}`);
  });
  failed.catch(() => {});
  const script = 'until [ -e "$1/ready" ]; do sleep 0.05; done';
  await Promise.race([failed, expectExec(host, ['sh', '-c', script, 'sh', folder], { timeoutMs: 60_000 })]);
  return {
    begin: async () => void (await expectExec(host, ['touch', `${folder}/begin`])),
    async end() {
      await Promise.race([failed, expectExec(host, ['touch', `${folder}/end`])]).catch(() => {});
      const { code, stdout, stderr } = await running;
      if (code !== 0) throw new HarnessError(`${host.name}: the prober failed: ${stderr.trim().slice(-600)}`);
      return JSON.parse(stdout) as ProberReport;
    },
  };
}
