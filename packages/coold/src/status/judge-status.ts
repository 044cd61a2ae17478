import { type Problem, unreadProblem, unservedProblem, unservedYet } from '@coold/runtime';
import { hostListener } from '../dns/host-route/host-server.ts';
import type { Credential } from './credential-ends.ts';
import { judgeDisk } from './disks.ts';
import { notDialled } from './link-state.ts';
import type { CooldStatus } from './status.ts';
import { endingOf } from './unit-failures.ts';

export const credentialNames: Record<Credential, string> = {
  token: "the host's token",
  broker_ca: "the CA of the broker's certificate",
  api_certificate: 'the certificate of the REST API',
};
export const renewals: Record<Credential, string> = {
  token: 'put a new one into COOLD_HOST_JWT_PATH',
  broker_ca: 'put the next CA into COOLD_BROKER_CA beside it',
  api_certificate: 'put a new one into COOLD_TLS_CERT and COOLD_TLS_KEY',
};

/** The difference of clocks that tokens allow, in seconds (docs/contract.md §1). */
const toleratedClockS = 60;

/** Returns the problems of a coold, one sentence each; empty when it is healthy. Pure. */
export function judgeStatus(status: CooldStatus): string[] {
  return findProblems(status).map(({ text }) => text);
}

/**
 * For this many seconds after its start, work that coold has not done yet is no problem: a booting host has much to do.
 */
const startingS = 60;

/** Returns what a coold that has just started has not done yet although nothing has failed, a sentence each. Pure. */
export function findUnfinished(status: CooldStatus): string[] {
  if (status.uptime_s >= startingS) return [];
  const { link, podman, directory, dns, firewall } = status;
  return [
    ...(link !== null && isDialling(link) ? [`the stream to the broker: ${link.state}`] : []),
    ...(!directory.connected && directory.problem === null ? ['what Corrosion knows of the mesh'] : []),
    ...dns.listeners
      .filter(({ bound, problem }) => !bound && problem === undefined)
      .map(({ namespace, address }) => `DNS of namespace ${namespace} on ${address}`),
    ...(firewall.mode === 'unknown' ? ['the check of the packet filter'] : []),
    ...(isLate(podman) ? ['the answer of Podman'] : []),
    ...(status.unserved ?? []).map(unservedYet),
  ];
}

/** How long an overloaded host may be behind with checking its packet filter, in seconds. */
const patienceS = 60;

/**
 * Returns what an overloaded host is behind with and is not known to be wrong, a sentence each. It becomes a problem
 * when it lasts. Pure.
 */
export function findLate({ uptime_s, firewall }: CooldStatus): string[] {
  if (uptime_s < startingS || !isBehind(firewall)) return [];
  return [
    `${firewall.deny_problem ?? 'the packet filter is still being read'}, for ${firewall.unknown_s} s now`,
  ];
}

/** A coold not yet restarted after an update does not say for how long. */
function isBehind({ mode, unknown_s = patienceS }: CooldStatus['firewall']): boolean {
  return mode === 'unknown' && unknown_s < patienceS;
}

/** Not connected, and no dial has failed. */
function isDialling({ connected, state }: NonNullable<CooldStatus['link']>): boolean {
  return !connected && (state === notDialled || state.endsWith(': connecting'));
}

/** While a host boots, Podman starts containers before it answers. */
function isLate(podman: CooldStatus['podman']): boolean {
  return 'problem' in podman && podman.late === true;
}

/** Adds a problem: its subject and a sentence. */
type Say = (about: string, text: string) => void;

/** The status to judge, and whether coold has just started, when unfinished work is no problem. */
type Judged = CooldStatus & { isStarting: boolean };

/** The same as `judgeStatus`, each problem with its subject. Pure. */
export function findProblems(status: CooldStatus): Problem[] {
  const judged = { ...status, isStarting: status.uptime_s < startingS };
  const problems: Problem[] = [];
  const say = (about: string, text: string) => void problems.push({ about, text });
  for (const judge of [judgeLink, judgeHost, judgeMesh, judgeDns, judgeFirewall]) judge(judged, say);
  return problems;
}

function judgeLink({ link, clock, ending, isStarting }: Judged, say: Say): void {
  if (link !== null && !link.connected && !(isStarting && isDialling(link)))
    say('broker', `no stream to the broker: ${link.state}`);
  if (link !== null && link.credentials_problem !== null && !link.state.includes(link.credentials_problem))
    say(
      'credentials',
      `the next dial uses the token and the CA that were read before: ${link.credentials_problem}; correct the file, it is read again without a restart`,
    );
  // A coold not yet restarted after an update says nothing of what is new.
  const ahead = clock?.ahead_s ?? 0;
  if (Math.abs(ahead) > toleratedClockS)
    say(
      'clock',
      `this host's clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'} the broker's, so tokens and certificates are judged wrongly: compare timedatectl on both, and set the one that is wrong`,
    );
  for (const { credential, ends_at } of ending ?? [])
    say(`end of ${credential}`, `${credentialNames[credential]} ends at ${ends_at}: ${renewals[credential]}`);
}

function judgeHost({ restarted, mesh, podman, unserved, unread, disks, isStarting }: Judged, say: Say): void {
  if (restarted != null)
    say(
      'restarts',
      `coold ${endingOf(restarted.result)} at ${restarted.at}, ${restarted.count} times within an hour, and systemd started it again: see journalctl -u coold; this is said for an hour, or until systemctl restart coold`,
    );
  if (mesh !== undefined && !mesh.address_up)
    say(
      'mesh address',
      `no interface of this host has COOLD_HOST_MGMT_IP ${mesh.address}: wg0 is down, so other hosts cannot be reached; systemctl start wg-quick@wg0`,
    );
  if ('problem' in podman && !(isStarting && isLate(podman)))
    say('podman', `Podman does not answer: ${podman.problem}`);
  if (!isStarting) for (const part of unserved ?? []) say(part.what, unservedProblem(part));
  for (const files of unread ?? []) say(`files: ${files.what}`, unreadProblem(files));
  for (const disk of disks ?? []) {
    const problem = judgeDisk(disk);
    if (problem !== undefined) say(`disk ${disk.path}`, problem);
  }
}

function judgeMesh({ directory, isStarting }: Judged, say: Say): void {
  if (!directory.connected && !(isStarting && directory.problem === null))
    say(
      'directory',
      `Corrosion does not report changes of the mesh; names may be out of date${directory.problem === null ? '' : `: ${directory.problem}`}`,
    );
  if (directory.database_put_back)
    say(
      'database',
      "this host's Corrosion database was restored to an older state, so other hosts ignore its changes: names of this host's " +
        'containers are out of date there. Stop Corrosion, empty /var/lib/corrosion, start Corrosion',
    );
  if (directory.hosts_gone.length > 0)
    say(
      'hosts gone',
      `not seen for too long: ${directory.hosts_gone.slice(0, 5).join(', ')}${directory.hosts_gone.length > 5 ? ' …' : ''}; ` +
        'their names are not answered. Bring them back, or remove their rows with mesh.forget',
    );
  for (const { host_mgmt_ip, last_handshake_s, rows } of (directory.hosts_silent ?? []).slice(0, 5))
    say(
      `silent ${host_mgmt_ip}`,
      `host ${host_mgmt_ip} does not answer by WireGuard, ${last_handshake_s === null ? 'and never did' : `last handshake ${last_handshake_s} s ago`}; ` +
        `the names of its ${rows} containers are still answered. Check that it runs, and that its UDP port can be reached`,
    );
  for (const { host_mgmt_ip, network_pool } of directory.pools_overlapping.slice(0, 5))
    say(
      `pool of ${host_mgmt_ip}`,
      `COOLD_NETWORK_POOL ${directory.network_pool} overlaps with ${network_pool} of host ${host_mgmt_ip}: ` +
        'give each host a slice of its own; no network is made where they overlap',
    );
}

function judgeDns({ dns, isStarting }: Judged, say: Say): void {
  for (const { namespace, address, bound, problem } of dns.listeners)
    if (!bound && !(isStarting && problem === undefined))
      say(
        `DNS on ${address}`,
        `DNS of ${namespace === hostListener ? 'this host itself' : `namespace ${namespace}`} is not served on ${address}: ${problem ?? 'not bound yet'}`,
      );
  // A coold not yet restarted after an update says nothing of it.
  if (dns.host_route?.problem)
    say('DNS of the host', `this host itself does not resolve the zone: ${dns.host_route.problem}`);
  if (dns.listeners.length > 0 && dns.upstreams.length === 0)
    say('upstreams', 'no upstream is known: the resolv.conf of this host names none; see COOLD_DNS_UPSTREAM');
  if (dns.upstreams.length > 0 && !dns.upstreams.some(({ answering }) => answering))
    say(
      'upstreams',
      `no upstream answers: ${dns.upstreams.map(({ address }) => address).join(', ')}; names outside the zone are not resolved, see COOLD_DNS_UPSTREAM`,
    );
}

function judgeFirewall({ firewall, isStarting }: Judged, say: Say): void {
  if (firewall.mode === 'broken')
    say(
      'default deny',
      `the default deny is not in place, so containers may reach each other: ${firewall.deny_problem}; coold keeps trying to restore it`,
    );
  if (firewall.mode === 'unknown' && !isStarting && !isBehind(firewall))
    say('default deny', firewall.deny_problem ?? 'the packet filter cannot be read');
  if (firewall.problem !== null) say('firewall', `firewall: ${firewall.problem}`);
  if (firewall.guard_problem != null)
    say(
      'guard',
      `coold's own ports and new bridges cannot be written into the guard, so containers may reach what they must not: ${firewall.guard_problem}; coold keeps trying`,
    );
  if (firewall.lost_flows !== null) say('flows', `allowed flows do not pass: ${firewall.lost_flows}`);
  for (const difference of firewall.differences) say(`firewall: ${difference}`, `firewall: ${difference}`);
  if (firewall.drift > 0)
    say(
      'drift',
      `firewall: ${firewall.drift} rules differ between kernel, snapshots and what was asked for; see firewall.status`,
    );
}
