import { formatAge, type ScreenRow, screen } from '@coold/runtime';
import type { CooldStatus } from './status.ts';

/** Renders one screen for a person. Pure. */
export function renderStatus(
  status: CooldStatus,
  {
    problems,
    unfinished,
    late,
  }: { problems: readonly string[]; unfinished: readonly string[]; late: readonly string[] },
  now: Date,
): string {
  const { version, node, uptime_s, link, podman, directory, sync, dns, firewall, builds, recent } = status;
  const ago = (at: string) => formatAge((now.getTime() - Date.parse(at)) / 1000);
  const bound = dns.listeners.filter(listener => listener.bound).length;
  const rows: ScreenRow[] = [
    ['coold', `${version}, up ${formatAge(uptime_s)}, Node ${node}`],
    ['broker', link === null ? 'none configured' : `${link.state}, for ${ago(link.since)}`],
    ['Podman', 'problem' in podman ? `does not answer: ${podman.problem}` : podman.version],
    [
      'directory',
      `${directory.rows} containers, ${directory.registrations} services, ${
        directory.connected
          ? 'changes arrive at once'
          : `out of date for up to ${formatAge(directory.age_ms / 1000)}`
      }; ${directory.unreachable} containers that this host cannot reach`,
    ],
    [
      'own rows',
      `${sync.rows}${directory.network_pool === null ? '' : `; networks of apps from ${directory.network_pool}`}; failures since the start: Podman ${sync.podman_failures}, Corrosion ${sync.corrosion_failures}`,
    ],
    [
      'DNS',
      `${bound} of ${dns.listeners.length} listeners; ${dns.queries} queries, ${dns.cached} answered from the cache, ${dns.forwarded} forwarded, ${dns.forward_errors} of those failed`,
    ],
    [
      'upstreams',
      dns.upstreams.length === 0
        ? 'none'
        : dns.upstreams
            .map(({ address, answering }) => (answering ? address : `${address} (dead)`))
            .join(', '),
    ],
    [
      'firewall',
      `${firewall.mode}, ${firewall.rules} rules, ${firewall.drift} of them differing; ${firewall.hook_repairs} hook repairs, ${firewall.deny_repairs} repairs of the default deny`,
    ],
    [
      'builds',
      builds === null
        ? 'none here'
        : `${builds.running} running, ${builds.queued} queued, ${builds.finished} with an unread result`,
    ],
  ];
  const lines = recent.map(
    ({ at, level, message, reason }) =>
      `${ago(at)} ago  ${level}  ${message}${reason === undefined ? '' : `: ${reason}`}`,
  );
  return screen({ rows, lists: [{ title: 'last warnings and errors', lines }], problems, unfinished, late });
}
