import { corrosionUrl } from '@coold/corrosion/url';
import { maxBuilderCapacity } from '@coold/proto/builder-capacity';
import {
  absolutePath,
  boolean,
  type ConfigOf,
  defineCommand,
  duration,
  integer,
  ipv4,
  isLoopback,
  list,
  logFilter,
  oneAddress,
  type ValueType,
} from '@coold/runtime';
import { addressRange, ipv4Network } from './builds/network/address-plan.ts';
import {
  cpuQuota,
  diskLimit,
  fileLimit,
  memoryLimit,
  network,
  registry,
  unitPath,
} from './builds/unit/builder-values.ts';
import { networkPool, poolConflict } from './discovery/hosts/network-pool.ts';
import { namespaces } from './discovery/namespaces.ts';
import { formatUpstream, loopsTo, upstreams } from './dns/forward/upstream.ts';
import { hostServer } from './dns/host-route/host-server.ts';
import { dnsIo } from './dns/listen/dns-io.ts';
import { domainName } from './dns/zone/names.ts';
import { addressOrNetwork } from './firewall/rule/cidr.ts';
import { chainName } from './firewall/rule/kernel-name.ts';
import { brokerUrl } from './link/broker-url.ts';

/**
 * A shorter interval would keep Podman busy with nothing else; a longer one would keep a stopped container's name
 * alive.
 */
const interval: ValueType<number> = {
  expected: 'a duration from 100ms to 1m',
  parse(text) {
    const ms = duration.parse(text);
    return ms !== undefined && ms >= 100 && ms <= 60_000 ? ms : undefined;
  },
};

/** Hosts send four heartbeats in this time. A busy Corrosion delays them by seconds, which must not take names away. */
const hostTtl: ValueType<number> = {
  expected: 'a duration from 20s to 24h',
  parse(text) {
    const ms = duration.parse(text);
    return ms !== undefined && ms >= 20_000 && ms <= 24 * 3_600_000 ? ms : undefined;
  },
};

/** A new stream each minute is useless load, and Node's timers reach 24.8 days. */
const [minReconnectMs, maxReconnectMs] = [60_000, 24 * 86_400_000];

/** Every variable and flag of `coold` (docs/contract.md §8). */
export const cooldCommand = defineCommand({
  name: 'coold',
  envPrefix: 'COOLD_',
  summary: "the per-host agent: carries out the broker's commands with this host's Podman",
  commands: ['doctor', 'scaffold', 'status', 'support-bundle', 'why'],
  otherNames: {
    prefixes: ['COOLIFY_COOLD_'],
    names: { brokerUrl: ['COOLD_SCHEDULER_URL', 'COOLIFY_COOLD_FLUX_URL'] },
  },
  options: {
    hostMgmtIp: { type: ipv4, required: true, help: "This host's address in the mesh (wg0)" },
    brokerUrl: {
      type: brokerUrl,
      help: "The broker's address, for example grpcs://broker:6443/v1/agent; unset: no stream",
    },
    brokerCa: { type: absolutePath, help: "PEM CA certificates for the broker; unset: the system's" },
    hostJwtPath: {
      type: absolutePath,
      default: '/etc/coolify/host-jwt',
      help: "File with this host's token for the broker, readable by its owner only; reread at every dial",
    },
    brokerReconnectEvery: {
      type: duration,
      help: 'Reconnects in good order at a random moment in the second half of this time, for example 12h; unset: never',
    },
    grpcDisabled: { type: boolean, default: 'false', help: 'No stream to the broker, whatever its URL' },
    apiBind: {
      type: oneAddress,
      help: 'Address and port of the REST API, for example 100.64.0.5:8443; unset: no REST API',
    },
    apiTokenFile: {
      type: absolutePath,
      help: 'File with the token of the REST API, readable by its owner only; reread when it changes and on SIGHUP',
    },
    tlsCert: {
      type: absolutePath,
      help: 'PEM certificate chain of the REST API; reread when it changes and on SIGHUP; unset: plain HTTP',
    },
    tlsKey: { type: absolutePath, help: 'PEM key of that certificate, readable by its owner only' },
    apiAllowFrom: {
      type: list(addressOrNetwork),
      help: "Addresses and networks of containers, on any host, that may reach this host's REST API and metrics; unset: none",
    },
    unixSocketPath: {
      type: absolutePath,
      default: '/run/coolify/coold.sock',
      help: 'Socket for status, metrics and `coold why`, for its owner only',
    },
    metricsBind: {
      type: oneAddress,
      help: 'Address and port that serve /metrics without a token, on loopback or COOLD_HOST_MGMT_IP, for example 100.64.0.5:9464; unset: none',
    },
    podmanSocket: { type: absolutePath, default: '/run/podman/podman.sock', help: "Podman's API socket" },
    namespaces: {
      type: namespaces,
      default: 'default:coolify-default-mesh:0.0.0.0',
      help: 'Namespaces of the mesh as <name>:<network>:<gateway-ip>,…; a container on several networks belongs to the first',
    },
    networkPool: {
      type: networkPool,
      help: "This host's part of the mesh's addresses, for example 10.211.16.0/20, from which networks created for a namespace without a subnet get a /24 each; unset: such networks are local to this host",
    },
    corrosionUrl: {
      type: corrosionUrl,
      default: 'http://127.0.0.1:8080',
      help: "Corrosion's API on this host",
    },
    corrosionTokenFile: {
      type: absolutePath,
      help: "File with Corrosion's bearer token, readable by its owner only; reread at every call; unset: none is sent",
    },
    hostTtl: {
      type: hostTtl,
      default: '20m',
      help: 'How long after its last heartbeat the names of a host are no longer answered; hosts send four heartbeats in this time, and one every 5 minutes at least; give all hosts the same value',
    },
    reconcileInterval: {
      type: interval,
      default: '2s',
      help: "How often this host's containers are compared with their rows in Corrosion",
    },
    allowedMountSources: {
      type: list(absolutePath),
      help: 'Paths of this host that containers may mount, with everything below them, comma-separated; unset: none',
    },
    reservedPorts: {
      type: list(integer(1, 65_535)),
      default: '6443',
      help: "Ports of this host that no container may publish, comma-separated, in addition to those of coold, Corrosion and WireGuard; name the broker's port where one runs here",
    },
    builderEnabled: {
      type: boolean,
      default: 'false',
      help: 'Builds images for the broker; this host\'s token must grant "builder"',
    },
    builderWorkDir: {
      type: unitPath,
      default: '/var/lib/coolify-builder/work',
      help: "Folder for builds; each build's folder is kept until an hour after its result was read, or for 24 h",
    },
    builderCapacity: {
      type: integer(1, maxBuilderCapacity),
      default: '2',
      help: 'The most builds at a time; others wait in a queue',
    },
    builderBin: { type: unitPath, default: '/usr/local/bin/builder', help: 'Path of the builder program' },
    builderTimeoutSecs: {
      type: integer(1, 86_400),
      default: '1800',
      help: 'Seconds that a build may take (RuntimeMaxSec of its unit)',
    },
    builderMemoryMax: { type: memoryLimit, default: '2G', help: 'Memory of a build (MemoryMax of its unit)' },
    builderCpuQuota: { type: cpuQuota, default: '200%', help: "CPU time of one build: its unit's CPUQuota" },
    builderDiskMax: {
      type: diskLimit,
      default: '10G',
      help: 'Disk space that a build may use, including what it adds to the image storage; beyond this it ends with 507',
    },
    builderInodesMax: {
      type: fileLimit,
      default: '2000000',
      help: 'Files, folders and links that a build may have on the disk, counted like COOLD_BUILDER_DISK_MAX; beyond this it ends with 507',
    },
    builderCacheMax: {
      type: diskLimit,
      default: '5G',
      help: 'Disk space for the layers of all builds with a cache_key; the least recently used are removed first',
    },
    builderDenyNets: {
      type: list(network),
      default: '100.64.0.0/16,10.210.0.0/16',
      help: 'Networks that builds cannot reach, comma-separated, in addition to this host and link-local addresses',
    },
    builderAllowNets: {
      type: list(ipv4Network),
      help: 'Private networks that builds may reach, comma-separated, for example of a git server or registry; never this host, its containers or the mesh',
    },
    builderNet: {
      type: addressRange,
      default: '240.0.0.0/24',
      help: 'Addresses for builds; this host must have no route to them, and they never leave it',
    },
    builderInsecureRegistries: {
      type: list(registry),
      help: 'Registries to which images may be pushed without TLS, comma-separated, for example registry.internal:5000; unset: none',
    },
    dnsZone: {
      type: domainName,
      default: 'coolify.internal',
      help: "The mesh's DNS zone: names are <container>.<namespace>.<zone>",
    },
    dnsUpstream: {
      type: upstreams,
      default: '1.1.1.1:53',
      help: "Resolvers for names outside the zone, comma-separated; the next is asked when one does not answer; resolv.conf: this host's own",
    },
    dnsThreads: {
      type: integer(1, 16),
      default: '1',
      help: 'Threads that answer DNS over UDP besides the main one; each takes some 10 MB, and more than one helps where processors are idle',
    },
    dnsHostRoute: {
      type: boolean,
      default: 'false',
      help: 'Makes systemd-resolved ask coold for names in the zone, so that programs on this host resolve them',
    },
    dnsIo: {
      type: dnsIo,
      default: 'auto',
      help: "How those threads do UDP: ffi uses epoll through node:ffi, node uses Node's own sockets at more than twice the processor time; auto: ffi where it works, else node",
    },
    rulesPath: {
      type: absolutePath,
      default: '/etc/coolify/allow.rules',
      help: "Snapshot of the allow rules for iptables-restore; the firewall's journal and lock are beside it",
    },
    bridgeRulesPath: {
      type: absolutePath,
      default: '/etc/coolify/allow.nft',
      help: 'Snapshot of the allow rules for nft',
    },
    chainName: { type: chainName, default: 'COOLIFY-ALLOW', help: 'iptables chain of the allow rules' },
    meshEnv: {
      type: absolutePath,
      default: '/etc/coolify/mesh.env',
      help: "File that configures the scaffold; coold compares the kernel's default deny with it",
    },
    logLevel: { type: logFilter, default: 'info', help: 'Level or filter: info,coold.link=debug' },
  },
  check(config) {
    const {
      hostMgmtIp,
      metricsBind,
      apiBind,
      apiTokenFile,
      tlsCert,
      tlsKey,
      dnsUpstream,
      namespaces,
      brokerReconnectEvery,
    } = config;
    const taken = config.networkPool === undefined ? undefined : poolConflict(config.networkPool, config);
    if (taken !== undefined)
      return `COOLD_NETWORK_POOL=${JSON.stringify(config.networkPool)}: expected a network without ${taken}`;
    if (
      brokerReconnectEvery !== undefined &&
      (brokerReconnectEvery < minReconnectMs || brokerReconnectEvery > maxReconnectMs)
    )
      return 'COOLD_BROKER_RECONNECT_EVERY is out of bounds: expected from 1m to 24d';
    if (metricsBind !== undefined && metricsBind.host !== hostMgmtIp && !isLoopback(metricsBind.host))
      return `COOLD_METRICS_BIND=${JSON.stringify(`${metricsBind.host}:${metricsBind.port}`)}: expected an address of loopback, or COOLD_HOST_MGMT_IP`;
    if (metricsBind !== undefined && apiBind?.host === metricsBind.host && apiBind.port === metricsBind.port)
      return 'COOLD_METRICS_BIND is the address of COOLD_API_BIND: expected another port';
    if (apiBind !== undefined && apiTokenFile === undefined)
      return 'COOLD_API_TOKEN_FILE is not set: expected the path of a token, because COOLD_API_BIND is set';
    if ((tlsCert === undefined) !== (tlsKey === undefined))
      return `COOLD_TLS_${tlsCert === undefined ? 'CERT' : 'KEY'} is not set: expected both COOLD_TLS_CERT and COOLD_TLS_KEY, or neither`;
    for (const upstream of dnsUpstream) {
      if (upstream !== 'resolv.conf' && upstream.host === hostServer)
        return `COOLD_DNS_UPSTREAM=${JSON.stringify(formatUpstream(upstream))}: expected another resolver than coold's own for this host`;
      const loop = loopsTo(upstream, namespaces);
      if (loop !== undefined && upstream !== 'resolv.conf')
        return `COOLD_DNS_UPSTREAM=${JSON.stringify(formatUpstream(upstream))}: expected another resolver than coold's own for namespace ${loop.name}`;
    }
    return undefined;
  },
});

export type CooldConfig = ConfigOf<typeof cooldCommand>;
