/** Where a fault is visible. */
export type Seer =
  /** coold on the faulty host. */
  | 'the host'
  /** coold on another host. */
  | 'another host'
  /** the broker that coolds dial */
  | 'the broker'
  /** Another broker, on the faulty machine. */
  | 'another broker';

export interface Sign {
  of: Seer;
  /** Part of the `PROBLEM` line that `coold status` or `broker status` prints. */
  problem?: string;
  /** A part of a journal line, of the program or of systemd about it. */
  log?: string;
  /** A PromQL expression over this program's metrics that has a value while the fault lasts. */
  metric?: string;
}

export interface Fault {
  /** In lower case, except for names. */
  name: string;
  signs: readonly Sign[];
  /** The alerts of docs/prometheus that fire once the fault lasts as long as they wait. No others fire. */
  alerts: readonly string[];
  /** Alerts that may fire as well, because their condition comes minutes later or only now and then. */
  later?: readonly string[];
  /** The alerts that fire in place of `alerts` when each program is scraped by a Prometheus on its own machine. */
  readThere?: readonly string[];
  /** What to do, for docs/troubleshooting.md. */
  remedy: string;
}

/** The faults of hosts and brokers, and how each is reported (docs/troubleshooting.md shows them). */
export const faults = [
  {
    name: 'disk full',
    signs: [
      {
        of: 'the host',
        problem: 'the disk of containers (/var/lib/containers) is full: ',
        log: 'PROBLEM: the disk of containers (/var/lib/containers) is full: ',
        metric: 'coold_disk_free_bytes{use="containers"} / coold_disk_size_bytes < 0.05',
      },
    ],
    alerts: ['CooldDiskFull', 'CooldProblems'],
    remedy: 'make room with `images.delete` or `podman system prune`; nothing has to be restarted',
  },
  {
    name: 'clock an hour ahead',
    signs: [
      {
        of: 'the host',
        problem: "this host's clock is 3600 s ahead of the broker's",
        log: "this host's clock and the broker's differ",
        metric: 'coold_clock_ahead_seconds{of="broker"} > 3500',
      },
    ],
    alerts: ['CooldClockOff', 'CooldProblems'],
    remedy:
      '`timedatectl` on the host and on the machine of the broker; start the time service of the one that is wrong. A token that the broker refuses is named with its time and that of the broker’s clock',
  },
  {
    name: 'Podman stopped',
    signs: [
      {
        of: 'the host',
        problem: 'Podman does not answer: podman is not reachable at /run/podman/podman.sock',
        log: 'podman does not answer; rows stay as they are',
        metric: 'coold_podman_up == 0',
      },
    ],
    alerts: ['CooldPodmanDown', 'CooldProblems'],
    remedy: '`systemctl start podman.socket`; containers run on meanwhile, names and rules stay',
  },
  {
    name: 'Podman hung',
    signs: [
      {
        of: 'the host',
        problem: 'Podman does not answer: podman at /run/podman/podman.sock did not answer in time',
        log: 'podman does not answer; rows stay as they are',
        metric: 'coold_podman_up == 0',
      },
    ],
    alerts: ['CooldPodmanDown', 'CooldPodmanSlow', 'CooldProblems', 'BrokerDispatchesSlow'],
    remedy:
      '`podman ps` hangs too; `systemctl kill --signal=KILL podman.service`, and systemd starts it at the next call; look at the disk and the memory of the host',
  },
  {
    name: 'Podman slow',
    signs: [{ of: 'the host', metric: 'coold_podman_request_duration_seconds_count > 0' }],
    alerts: ['CooldPodmanSlow'],
    // An answer that takes longer than a status waits for is a problem as long as it does.
    later: ['CooldPodmanDown', 'CooldProblems'],
    remedy:
      '`time podman ps` on the host; look at its load, its memory and its disk (`host.stats`, `iostat`), and for a `podman` command that holds the lock of a container',
  },
  {
    name: 'Podman upgraded',
    signs: [
      {
        of: 'the host',
        problem: 'Podman does not answer: podman is not reachable at /run/podman/podman.sock',
        // The end of its events is logged separately only if some had arrived since they ended before.
        log: 'podman does not answer; rows stay as they are',
        metric: 'coold_podman_up == 0',
      },
    ],
    alerts: ['CooldPodmanDown', 'CooldProblems'],
    remedy:
      'nothing, as long as the package starts `podman.socket` again: coold asks the new one as soon as it is there. Otherwise `systemctl start podman.socket`',
  },
  {
    name: 'Corrosion stopped',
    signs: [
      {
        of: 'the host',
        problem:
          'Corrosion does not report changes of the mesh; names may be out of date: corrosion at http://127.0.0.1:8080: connect ECONNREFUSED',
        log: 'subscription broke; the last known rows stay in use',
        metric: 'coold_discovery_connected == 0',
      },
      {
        of: 'another broker',
        problem: 'Corrosion does not report where the hosts of other brokers are',
        log: 'subscription broke; the last known rows stay in use',
        metric: 'broker_routes_followed == 0',
      },
    ],
    alerts: [
      ...['CooldMeshSilent', 'BrokerRoutesSilent', 'BrokerDead', 'BrokerHeartbeatStale'],
      ...['CooldProblems', 'BrokerProblems'],
    ],
    remedy:
      '`systemctl start corrosion`, `journalctl -u corrosion`; names are answered as they were known last',
  },
  {
    name: 'Corrosion hung',
    signs: [
      {
        of: 'the host',
        problem:
          'Corrosion does not report changes of the mesh; names may be out of date: corrosion at http://127.0.0.1:8080: ',
        log: 'it sends nothing and does not answer',
        metric: 'coold_discovery_connected == 0',
      },
      {
        of: 'another broker',
        problem: 'Corrosion does not report where the hosts of other brokers are',
        log: 'it sends nothing and does not answer',
        metric: 'broker_routes_followed == 0',
      },
    ],
    alerts: [
      ...['CooldMeshSilent', 'BrokerRoutesSilent', 'BrokerDead', 'BrokerHeartbeatStale'],
      ...['CooldProblems', 'BrokerProblems'],
    ],
    remedy:
      '`systemctl kill --signal=KILL corrosion`, and systemd starts it again; look at the disk of `/var/lib/corrosion`',
  },
  {
    name: 'Corrosion answers garbage',
    signs: [
      {
        of: 'the host',
        problem: 'Corrosion does not report changes of the mesh; names may be out of date: corrosion ',
        log: 'subscription broke; the last known rows stay in use',
        metric: 'coold_discovery_connected == 0',
      },
      {
        of: 'another broker',
        problem: 'Corrosion does not report where the hosts of other brokers are',
        metric: 'broker_routes_followed == 0',
      },
    ],
    alerts: [
      ...['CooldMeshSilent', 'BrokerRoutesSilent', 'BrokerDead', 'BrokerHeartbeatStale'],
      ...['CooldProblems', 'BrokerProblems'],
    ],
    remedy: 'see what listens at `COOLD_CORROSION_URL` (`ss -ltnp`), and which version of Corrosion it is',
  },
  {
    name: 'database of Corrosion put back',
    signs: [
      {
        of: 'the host',
        problem: "this host's Corrosion database was restored to an older state",
        log: 'the Corrosion database of this host was restored to an older state: other hosts ignore its changes',
        metric: 'coold_discovery_database_put_back == 1',
      },
    ],
    alerts: ['CooldDatabasePutBack', 'CooldProblems'],
    // The other broker's heartbeat is not accepted by others either, until its numbers are new ones.
    later: ['BrokerDead', 'BrokerProblems'],
    remedy:
      '`systemctl stop corrosion`, empty `/var/lib/corrosion`, `systemctl start corrosion`: it gets everything from the others, and coold writes its rows again. Never put a copy of the database back',
  },
  {
    name: 'host thrown away',
    signs: [
      {
        of: 'the host',
        problem: 'not seen for too long: 100.64.0.9',
        log: 'PROBLEM: not seen for too long: 100.64.0.9',
        metric: 'coold_discovery_hosts_gone > 0',
      },
    ],
    alerts: ['CooldHostGone', 'CooldProblems'],
    remedy: 'bring it back, or remove what it has left in the mesh with `mesh.forget`, on one host',
  },
  {
    name: 'pools that overlap',
    signs: [
      {
        of: 'the host',
        problem: 'COOLD_NETWORK_POOL 10.212.8.0/21 overlaps with 10.212.0.0/20 of host 100.64.0.1',
        log: 'COOLD_NETWORK_POOL of another host overlaps with the one of this host',
        metric: 'coold_discovery_pools_overlapping > 0',
      },
      { of: 'another host', metric: 'coold_discovery_pools_overlapping > 0' },
    ],
    alerts: ['CooldPoolsOverlap', 'CooldProblems'],
    remedy: 'give each host a `COOLD_NETWORK_POOL` of its own, and restart coold there',
  },
  {
    name: 'wg0 down',
    signs: [
      {
        of: 'the host',
        problem: 'no interface of this host has COOLD_HOST_MGMT_IP 100.64.0.2: wg0 is down',
        log: 'PROBLEM: no interface of this host has COOLD_HOST_MGMT_IP',
        metric: 'coold_mesh_address_up == 0',
      },
      { of: 'the host', problem: 'no stream to the broker: ', metric: 'coold_link_connected == 0' },
    ],
    // Prometheus scrapes the host over wg0, so the host's own metrics do not arrive.
    alerts: ['CooldDown', 'BrokerDown', 'BrokerDead', 'BrokerProblems'],
    later: ['CooldHostSilent', 'CooldProblems', 'BrokerHostsAway'],
    readThere: ['CooldMeshDown', 'CooldWithoutBroker', 'CooldProblems', 'BrokerDead', 'BrokerProblems'],
    remedy:
      '`systemctl start wg-quick@wg0`, `journalctl -u wg-quick@wg0`; coold dials again at once when the address is back',
  },
  {
    name: 'upstream DNS dead',
    signs: [
      {
        of: 'the host',
        problem: 'no upstream answers: 100.64.0.1:5353',
        log: 'PROBLEM: no upstream answers: 100.64.0.1:5353',
        metric: 'max(coold_dns_upstream_answering) == 0',
      },
    ],
    alerts: ['CooldDnsUpstreamDead', 'CooldProblems'],
    remedy:
      'ask it from the host with `dig @ADDRESS example.com`; name another in `COOLD_DNS_UPSTREAM`. Names of the zone are answered all the same',
  },
  {
    name: 'upstream DNS slow',
    signs: [{ of: 'the host', metric: 'coold_dns_upstream_duration_seconds_count > 0' }],
    alerts: ['CooldDnsSlow'],
    later: ['CooldDnsUpstreamDead', 'CooldProblems'],
    remedy:
      'ask it from the host with `dig @ADDRESS example.com`, which says the time that it takes; name a nearer one in `COOLD_DNS_UPSTREAM`',
  },
  {
    name: 'port of DNS taken',
    signs: [
      {
        of: 'the host',
        problem: 'DNS of namespace default is not served on ',
        log: 'DNS is not answered here; trying again',
        metric: 'coold_dns_listener_bound == 0',
      },
    ],
    alerts: ['CooldDnsDown', 'CooldProblems'],
    remedy:
      'see what listens there (`ss -lunp sport = 53`) and keep it from that address, as dnsmasq by `bind-interfaces` and `except-interface`; coold has the port within half a minute',
  },
  {
    name: 'packet filter emptied',
    signs: [
      {
        of: 'the host',
        log: 'the default deny was not in place, so containers could reach each other; it is restored',
        metric: 'coold_firewall_deny_repairs_total > 0',
      },
    ],
    alerts: ['CooldDefaultDenyRepaired'],
    later: ['CooldProblems'],
    remedy:
      'coold has restored its own rules within seconds, so no `PROBLEM` stays. Where netavark uses iptables (Debian 12), `podman network reload --all` restores those of Podman: until then containers do not reach the internet. If it comes again, look for the program that does it: `nft monitor`, `journalctl` at that time',
  },
  {
    name: 'nft missing',
    signs: [
      {
        of: 'the host',
        problem: 'the default deny is not in place, so containers may reach each other: ',
        log: 'PROBLEM: the default deny is not in place, so containers may reach each other: ',
        metric: 'coold_firewall_deny_broken == 1',
      },
    ],
    alerts: ['CooldDefaultDenyBroken', 'CooldProblems'],
    later: ['CooldFirewallDrift', 'CooldDefaultDenyRepaired'],
    remedy:
      'the line says what coold could not do, here run `nft`: install the package again; coold tries every 10 s, and puts the deny back as soon as it can',
  },
  {
    name: 'allow rules changed by hand',
    signs: [
      {
        of: 'the host',
        problem: 'rules differ between kernel, snapshots and what was asked for',
        log: 'rules differ between kernel, snapshots and what was asked for',
        metric: 'sum(coold_firewall_drift) > 0',
      },
    ],
    alerts: ['CooldFirewallDrift', 'CooldProblems'],
    remedy:
      '`firewall.status` names the rules; `firewall.reconcile` puts the kernel back to what was asked for. coold does not do so by itself: it would open what somebody has shut',
  },
  {
    name: 'token ended',
    signs: [
      {
        of: 'the host',
        problem:
          'no stream to the broker: broker 100.64.0.1:6443: not connected (UNAUTHENTICATED: token refused: it has expired (',
        log: 'token refused: it has expired (',
        metric: 'coold_credential_left_seconds{credential="token"} < 0',
      },
      { of: 'the host', problem: "the host's token ends at ", metric: 'coold_link_connected == 0' },
      { of: 'the broker', log: 'token refused: it has expired (' },
    ],
    alerts: ['CooldWithoutBroker', 'CooldCredentialEnds', 'CooldProblems'],
    later: ['BrokerHostsAway', 'BrokerProblems'],
    remedy:
      'put a new token into `COOLD_HOST_JWT_PATH`: [Renew what ends](guide/operations.md#renew-what-ends). If the token is good, a clock is wrong: the line has both times',
  },
  {
    name: 'token ends soon',
    signs: [
      {
        of: 'the host',
        problem: "the host's token ends at ",
        log: "PROBLEM: the host's token ends at ",
        metric: 'coold_credential_to_renew{credential="token"} == 1',
      },
      {
        of: 'the broker',
        problem: 'tokens of 1 hosts end soon: b at ',
        log: 'PROBLEM: tokens of 1 hosts end soon: b at ',
        metric: 'broker_ending_tokens > 0',
      },
    ],
    alerts: ['CooldCredentialEnds', 'BrokerTokensEnd', 'CooldProblems', 'BrokerProblems'],
    remedy:
      'give the host a new one before that time: [Renew what ends](guide/operations.md#renew-what-ends)',
  },
  {
    name: 'token readable by others',
    signs: [
      {
        of: 'the host',
        problem: 'the next dial uses the token and the CA that were read before: ',
        log: "the host's token or the broker's CA cannot be read again; those that were read before are used",
        metric: 'coold_link_credentials_usable == 0',
      },
    ],
    alerts: ['CooldCredentialsUnusable', 'CooldProblems'],
    remedy: '`chmod 600` of the file that the line names; it is read again by itself',
  },
  {
    name: 'certificate ended',
    signs: [
      {
        of: 'the broker',
        problem: 'the TLS certificate ended at ',
        log: 'PROBLEM: the TLS certificate ended at ',
        metric: 'broker_certificate_left_seconds{certificate="grpc"} < 0',
      },
      {
        of: 'the host',
        problem: "certificate has expired; if the certificate is good, this host's clock is wrong",
        log: 'certificate has expired',
        metric: 'coold_link_connected == 0',
      },
    ],
    alerts: ['BrokerCertificateEnds', 'CooldWithoutBroker', 'CooldProblems', 'BrokerProblems'],
    later: ['BrokerHostsAway'],
    remedy:
      'put a new one into `BROKER_TLS_CERT` and `BROKER_TLS_KEY`, which are read again by themselves: [Renew what ends](guide/operations.md#renew-what-ends)',
  },
  {
    name: 'broker gone',
    signs: [
      {
        of: 'the host',
        problem: 'no stream to the broker: broker 100.64.0.1:6443: ',
        log: 'no stream to the broker; dialling again',
        metric: 'coold_link_connected == 0',
      },
      { of: 'the broker', problem: 'broker does not run ', log: 'Stopped broker.service' },
    ],
    alerts: ['BrokerDown', 'CooldWithoutBroker', 'CooldProblems', 'BrokerProblems'],
    remedy:
      '`systemctl start broker` and `journalctl -u broker -n 50` on its machine; hosts come back within a minute, by themselves',
  },
  {
    name: 'one of two brokers gone',
    signs: [
      {
        of: 'another broker',
        problem: 'broker does not run ',
        log: "broker.service: Failed with result 'signal'",
      },
      {
        of: 'the broker',
        problem: 'broker broker-b at 100.64.0.2:6444 is dead: its heartbeat has not changed for ',
        log: 'a broker is dead: its heartbeat has stopped',
        metric: 'broker_others{state="dead"} > 0',
      },
    ],
    alerts: ['BrokerDown', 'BrokerDead', 'BrokerProblems'],
    remedy:
      '`systemctl start broker` there; its hosts dial the balancer or the other address meanwhile: [Several brokers](guide/brokers.md#when-a-broker-is-dead)',
  },
  {
    name: 'broker full',
    signs: [
      {
        of: 'the broker',
        problem: '4 of at most 4 dispatches, streams and builds are under way',
        log: 'PROBLEM: 4 of at most 4 dispatches, streams and builds are under way',
        metric: 'broker_streamed_commands >= 4',
      },
    ],
    alerts: ['BrokerFull', 'BrokerProblems'],
    remedy:
      '`broker status` says what there is of: many `waiting` are hosts that do not answer, many `streamed` are callers that follow logs and do not hang up. Raise `BROKER_PENDING_MAX` where all of it is wanted',
  },
  {
    name: 'registry hung',
    signs: [
      {
        of: 'the broker',
        problem: 'dispatches of the last minutes are without an answer',
        log: 'dispatch failed',
        metric: 'broker_dispatch_duration_seconds_count{outcome="timeout"} > 0',
      },
    ],
    alerts: ['BrokerDispatchesFail', 'BrokerProblems'],
    remedy:
      'the lines `dispatch failed` name host and verb. Where it is `images.pull`, try `podman pull` there; a pull goes on after its dispatch has timed out, and the same one asked again joins it',
  },
  {
    name: 'coold out of memory',
    signs: [
      {
        of: 'the host',
        // With cgroups v1, systemd does not learn why it was killed.
        problem: 'coold was killed ',
        log: '); systemd started it again',
        metric: 'coold_unit_failures > 0',
      },
    ],
    alerts: ['CooldRestarted', 'CooldProblems'],
    remedy:
      'see what took the memory (`journalctl -k`, `host.stats`); give the host more, or the containers limits. Then `systemctl restart coold`, or wait an hour',
  },
  {
    name: 'power cut',
    signs: [
      {
        of: 'another host',
        problem: 'host 100.64.0.2 does not answer by WireGuard, last handshake ',
        log: 'PROBLEM: host 100.64.0.2 does not answer by WireGuard',
        metric: 'coold_discovery_hosts_silent > 0',
      },
      {
        of: 'the broker',
        problem: '1 of 2 hosts that were connected within a day are away: b',
        log: 'host disconnected',
        metric: 'broker_hosts_away > 0',
      },
    ],
    alerts: [
      ...['CooldDown', 'CooldHostSilent', 'BrokerHostsAway', 'BrokerDown', 'BrokerDead'],
      ...['CooldProblems', 'BrokerProblems'],
    ],
    remedy:
      'start the host: everything on it comes back by itself. One that is gone for good is removed with `mesh.forget`',
  },
] as const satisfies readonly Fault[];

export type FaultName = (typeof faults)[number]['name'];
