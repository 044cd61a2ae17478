import { expectExec, HarnessError, type Host } from '../harness/provider.ts';

/** What prober.py is told, in JSON. */
export interface ProberSpec {
  /** Where it is steered: of this measurement alone, on the host. */
  folder: string;
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

/** A prober that listens and watches, and has not sent anything yet. */
export interface Prober {
  begin(): Promise<void>;
  /** Ends the sending. @throws HarnessError when the prober has failed */
  end(): Promise<ProberReport>;
}

/** The most that a prober stays without being steered; prober.py has the same. */
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
