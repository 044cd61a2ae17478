import { type Finding, fail, ok, runChild } from '@coold/runtime';
import { needRoot } from './host.ts';

/** A running container, and its DNS address. */
export interface AskedContainer {
  name: string;
  /** The process id of its first process. */
  pid: number;
  gateway: string;
}

export type DnsAnswer = { kind: 'answered'; ms: number } | { kind: 'failed'; why: string };

/** Pure. @param container undefined when none runs on a network that coold serves */
export function judgeContainerDns(
  container: AskedContainer | undefined,
  zone: string,
  answer: DnsAnswer | undefined,
): Finding {
  if (container === undefined || answer === undefined)
    return ok('not asked: no container runs on a network with DNS');
  const asked = `${container.name} asks ${container.gateway} for ${zone}`;
  return answer.kind === 'answered'
    ? ok(`${asked} and is answered in ${answer.ms} ms`)
    : fail(
        `${asked} and is not answered: ${answer.why}`,
        'see the checks of ports, default deny and other firewalls; `systemctl status coold`',
      );
}

const withinMs = 5000;

/** The zone's apex has an SOA record on every host, whatever containers there are. */
const script = `
  const [server, zone] = process.argv.slice(1);
  const { Resolver } = require('node:dns').promises;
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([server]);
  const started = performance.now();
  resolver.resolveSoa(zone).then(
    () => process.stdout.write(String(Math.round(performance.now() - started))),
    error => { process.stderr.write(error.code ?? error.message); process.exitCode = 1; },
  );
`;

/**
 * Asks from the container's own network, using this Node, because images may contain no resolver.
 *
 * @throws Error when not root
 */
export async function askFromContainer(
  { pid, gateway }: AskedContainer,
  zone: string,
  signal: AbortSignal,
): Promise<DnsAnswer> {
  needRoot();
  const args = [`--net=/proc/${pid}/ns/net`, '--', process.execPath, '-e', script, '--', gateway, zone];
  const { code, stdout, stderr } = await runChild('nsenter', args, {
    timeoutMs: withinMs,
    signal,
    // Our own environment must not affect the other Node.
    env: { PATH: process.env['PATH'] ?? '' },
  });
  if (code === 0 && /^\d+$/.test(stdout)) return { kind: 'answered', ms: Number(stdout) };
  return { kind: 'failed', why: stderr.trim().slice(0, 200) || `exit ${code}` };
}
