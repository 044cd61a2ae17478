import type { FleetHost } from '../harness/fleet.ts';

export type ProgramName = 'coold' | 'broker';

/** What a status prints when it cannot ask its daemon. */
const unreachable = /^(coold|broker) status: (.+)$/m;

interface Verdict {
  problems: string[];
  /** What a program that was just started has not done yet. */
  starting: string[];
}

/**
 * Returns the verdict of a host's `coold status` or `broker status`; null when the host is off or the output cannot be
 * parsed.
 */
export async function verdictOf({ host }: FleetHost, program: ProgramName): Promise<Verdict | null> {
  try {
    const { stdout, stderr } = await host.exec([program, 'status', '--json'], { timeoutMs: 30_000 });
    if (stdout.trim() === '') return { problems: [unreachable.exec(stderr)?.[2] ?? stderr], starting: [] };
    const said: unknown = JSON.parse(stdout);
    if (typeof said !== 'object' || said === null || !('problems' in said)) return null;
    if (!Array.isArray(said.problems)) return null;
    const starting = 'starting' in said && Array.isArray(said.starting) ? said.starting : [];
    return { problems: said.problems.map(String), starting: starting.map(String) };
  } catch {
    return null;
  }
}

/**
 * Returns a program's metrics, read from its socket on the host; null when they cannot be read.
 *
 * @param from a host that must also reach the program over wg0, as Prometheus would
 */
export async function metricsOf(
  { host, mgmtIp }: FleetHost,
  program: ProgramName,
  from?: FleetHost,
): Promise<string | null> {
  const curl = ['curl', '--silent', '--fail', '--max-time', '8'] as const;
  try {
    if (from !== undefined) {
      const port = program === 'coold' ? 9464 : 9465;
      const { code } = await from.host.exec([
        ...curl,
        '--output',
        '/dev/null',
        `http://${mgmtIp}:${port}/metrics`,
      ]);
      if (code !== 0) return null;
    }
    const socket = ['--unix-socket', `/run/coolify/${program}.sock`, 'http://localhost/metrics'];
    const { code, stdout } = await host.exec([...curl, ...socket], { timeoutMs: 30_000 });
    return code === 0 ? stdout : null;
  } catch {
    return null;
  }
}

/** Returns the messages in the journal of a program's unit since a time. Empty while the host is off. */
export async function journalSince({ host }: FleetHost, program: ProgramName, since: Date): Promise<string> {
  const at = `@${Math.floor(since.getTime() / 1000)}`;
  const argv = [
    'journalctl',
    `--since=${at}`,
    `--unit=${program}`,
    '--output=cat',
    '--no-pager',
    '--quiet',
  ] as const;
  try {
    const { stdout } = await host.exec(argv, { timeoutMs: 30_000 });
    // Undoes JSON's quoting, so that texts can be searched as they were written.
    return stdout.replaceAll('\\"', '"');
  } catch {
    return '';
  }
}
