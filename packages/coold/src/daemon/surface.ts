import { readVerbs } from '@coold/proto';
import type { CooldOptions } from '../daemon.ts';
import { announceChanges } from '../discovery/containers/announce.ts';
import { readPeers, wireguardInterface } from '../discovery/hosts/host-facts.ts';
import { hostServer } from '../dns/host-route/host-server.ts';
import { createOwnJournal } from '../own-journal.ts';
import { ownPorts } from '../verbs/container/own-ports.ts';
import { cooldHandlers } from '../verbs/coold.ts';
import { dnsHandlers } from '../verbs/dns.ts';
import { explainHandlers } from '../verbs/explain.ts';
import { hostEventHandlers } from '../verbs/host-events.ts';
import { hostJwtHandlers } from '../verbs/host-jwt.ts';
import { meshHandlers } from '../verbs/mesh.ts';
import { readMeshRanges } from '../verbs/network/mesh-ranges.ts';
import { serviceHandlers } from '../verbs/services.ts';
import { joinSurface, type Served } from '../verbs/surface.ts';
import { verbHandlers } from '../verbs/verbs.ts';
import type { Parts } from './parts.ts';

/**
 * Returns every verb of the schema with its handler, by name.
 *
 * @param onToken called when `host.jwt.set` has replaced the token of this host
 */
export function createSurface(
  { config, version, log }: CooldOptions,
  parts: Parts,
  onToken: () => void,
): ReadonlyMap<string, Served> {
  const { podman, discovery, dns, firewall, events } = parts;
  const { directory } = discovery;
  const meshRanges = () => readMeshRanges(config.meshEnv, config.networkPool);
  const handlers = {
    ...verbHandlers(podman, {
      version,
      allowedMountSources: config.allowedMountSources ?? [],
      mesh: { hostMgmtIp: config.hostMgmtIp, namespaces: config.namespaces, zone: config.dnsZone },
      known: discovery.containers,
      slices: { own: config.networkPool, others: () => discovery.pools.others() },
      hostPorts: signal =>
        ownPorts(
          {
            apiBind: config.apiBind,
            metricsBind: config.metricsBind,
            gateways: [
              ...config.namespaces.map(({ gateway }) => gateway),
              ...(config.dnsHostRoute ? [hostServer] : []),
            ],
            reserved: config.reservedPorts,
            corrosionUrl: config.corrosionUrl,
          },
          signal,
        ),
      meshRanges,
      firewall: firewall.verbs,
      namespaceNetworks: parts.namespaceNetworks,
      log: log.child('api'),
    }),
    ...dnsHandlers(dns),
    ...explainHandlers({
      readers: firewall.readers,
      lifecycle: podman.lifecycle,
      directory,
      lookUp: name => dns.lookUp(name),
      zone: config.dnsZone,
      hostMgmtIp: config.hostMgmtIp,
      listed: podman.listed,
      readPeers: signal => readPeers(wireguardInterface, signal),
      meshRanges,
      hostsGone: () => directory.stats().hostsGone,
      rules: () => [...firewall.kernel.iptables.rules.values()].map(({ rule }) => rule),
    }),
    ...meshHandlers(discovery.hosts),
    ...cooldHandlers(createOwnJournal()),
    ...hostEventHandlers(events),
    ...hostJwtHandlers(config.hostJwtPath, () => {
      log.info({ path: config.hostJwtPath }, "the host's token was replaced by host.jwt.set");
      onToken();
    }),
    ...serviceHandlers({ ...discovery, lifecycle: podman.lifecycle, hostMgmtIp: config.hostMgmtIp }),
  };
  return joinSurface(readVerbs(), announceChanges(handlers, discovery.touch));
}
