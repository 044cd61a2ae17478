import type { CooldStatus } from './status.ts';

/** What is wrong with a coold, one sentence each; empty: it is healthy. Pure. */
export function judgeStatus({ link, podman, directory, dns, firewall }: CooldStatus): string[] {
  const problems: string[] = [];
  if (link !== null && !link.connected) problems.push(`no stream to the broker: ${link.state}`);
  if ('problem' in podman) problems.push(`Podman does not answer: ${podman.problem}`);
  if (!directory.connected)
    problems.push('Corrosion does not tell changes of the mesh; names may be out of date');
  if (directory.hosts_gone.length > 0)
    problems.push(
      `not seen for too long: ${directory.hosts_gone.slice(0, 5).join(', ')}${directory.hosts_gone.length > 5 ? ' …' : ''}; ` +
        'their names are not answered. Bring them back, or remove their rows with mesh.forget',
    );
  for (const { namespace, address, bound, problem } of dns.listeners)
    if (!bound)
      problems.push(
        `DNS of namespace ${namespace} is not served on ${address}: ${problem ?? 'not bound yet'}`,
      );
  if (dns.listeners.length > 0 && dns.upstreams.length === 0)
    problems.push('no upstream is known: the resolv.conf of this host names none; see COOLD_DNS_UPSTREAM');
  if (dns.upstreams.length > 0 && !dns.upstreams.some(({ answering }) => answering))
    problems.push(
      `no upstream answers: ${dns.upstreams.map(({ address }) => address).join(', ')}; names outside the zone are not resolved, see COOLD_DNS_UPSTREAM`,
    );
  if (firewall.mode === 'broken')
    problems.push(
      `the default deny is not in place, so containers may reach each other: ${firewall.deny_problem}; coold goes on trying to put it back`,
    );
  if (firewall.mode === 'unknown') problems.push('the packet filter cannot be read');
  if (firewall.problem !== null) problems.push(`firewall: ${firewall.problem}`);
  if (firewall.lost_flows !== null) problems.push(`allowed flows do not pass: ${firewall.lost_flows}`);
  for (const difference of firewall.differences) problems.push(`firewall: ${difference}`);
  if (firewall.drift > 0)
    problems.push(
      `firewall: ${firewall.drift} rules differ between kernel, snapshots and what was asked for; see firewall.status`,
    );
  return problems;
}
