import type { CooldStatus } from './status.ts';

/** What is wrong with a coold, one sentence each; empty: it is healthy. Pure. */
export function judgeStatus({ link, podman, directory, dns }: CooldStatus): string[] {
  const problems: string[] = [];
  if (link !== null && !link.connected) problems.push(`no stream to the broker: ${link.state}`);
  if ('problem' in podman) problems.push(`Podman does not answer: ${podman.problem}`);
  if (!directory.connected)
    problems.push('Corrosion does not tell changes of the mesh; names may be out of date');
  for (const { namespace, address, bound, problem } of dns.listeners)
    if (!bound)
      problems.push(
        `DNS of namespace ${namespace} is not served on ${address}: ${problem ?? 'not bound yet'}`,
      );
  return problems;
}
