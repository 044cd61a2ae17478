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
  list,
  logFilter,
  oneAddress,
  type ValueType,
} from '@coold/runtime';
import { cpuQuota, diskLimit, memoryLimit, network, registry, unitPath } from './builds/builder-values.ts';
import { addressRange, ipv4Network } from './builds/network/address-plan.ts';
import { namespaces } from './discovery/namespaces.ts';
import { domainName } from './dns/names.ts';
import { formatUpstream, loopsTo, upstreams } from './dns/upstream.ts';
import { addressOrNetwork } from './firewall/cidr.ts';
import { chainName } from './firewall/kernel-name.ts';
import { brokerUrl } from './link/broker-url.ts';

/** Shorter ones would keep Podman busy with nothing else, longer ones a stopped container's name alive. */
const interval: ValueType<number> = {
  expected: 'a duration from 100ms to 1m',
  parse(text) {
    const ms = duration.parse(text);
    return ms !== undefined && ms >= 100 && ms <= 60_000 ? ms : undefined;
  },
};

/** Less than two of the signs of life that hosts give would take names away for one that was late. */
const hostTtl: ValueType<number> = {
  expected: 'a duration from 11m to 24h',
  parse(text) {
    const ms = duration.parse(text);
    return ms !== undefined && ms >= 11 * 60_000 && ms <= 24 * 3_600_000 ? ms : undefined;
  },
};

/** A stream each minute is load for nothing; a timer of Node's is good for 24.8 days. */
const [minReconnectMs, maxReconnectMs] = [60_000, 24 * 86_400_000];

/** Every variable and flag of `coold` (docs/contract.md §8). */
export const cooldCommand = defineCommand({
  name: 'coold',
  envPrefix: 'COOLD_',
  summary: 'the per-host agent: runs what the broker asks for on the Podman of this host',
  commands: ['scaffold', 'status'],
  options: {
    hostMgmtIp: { type: ipv4, required: true, help: "This host's address in the mesh (wg0)" },
    brokerUrl: {
      type: brokerUrl,
      help: 'Where the broker listens, for example grpcs://broker:6443/v1/agent; unset: no stream',
    },
    brokerCa: { type: absolutePath, help: "PEM certificates that vouch for the broker; unset: the system's" },
    hostJwtPath: {
      type: absolutePath,
      default: '/etc/coolify/host-jwt',
      help: "This host's token for the broker, readable by its owner alone; read again at every dial",
    },
    brokerReconnectEvery: {
      type: duration,
      help: 'Ends the stream in good order and dials again, at a random moment of the second half of this time, for example 12h; unset: never',
    },
    grpcDisabled: { type: boolean, default: 'false', help: 'No stream to the broker, whatever its URL' },
    apiBind: {
      type: oneAddress,
      help: 'One address and port to serve the REST API on, for example 100.64.0.5:8443; unset: no REST API',
    },
    apiTokenFile: {
      type: absolutePath,
      help: 'Token of the REST API, readable by its owner alone; read again when it changes and on SIGHUP',
    },
    tlsCert: {
      type: absolutePath,
      help: 'PEM certificate chain of the REST API; read again when it changes and on SIGHUP; unset: plain HTTP',
    },
    tlsKey: { type: absolutePath, help: 'PEM key of that certificate, readable by its owner alone' },
    apiAllowFrom: {
      type: list(addressOrNetwork),
      help: "Containers' addresses and networks, of this host and others, that reach its REST API and metrics; unset: none",
    },
    unixSocketPath: {
      type: absolutePath,
      default: '/run/coolify/coold.sock',
      help: 'Socket of status and metrics, for its owner alone',
    },
    podmanSocket: { type: absolutePath, default: '/run/podman/podman.sock', help: "Podman's API socket" },
    namespaces: {
      type: namespaces,
      default: 'default:coolify-default-mesh:0.0.0.0',
      help: 'Namespaces of the mesh, <name>:<network>:<gateway-ip>,…; a container on several networks belongs to the first',
    },
    corrosionUrl: {
      type: corrosionUrl,
      default: 'http://127.0.0.1:8080',
      help: "Corrosion's API on this host",
    },
    corrosionTokenFile: {
      type: absolutePath,
      help: "Corrosion's bearer token, readable by its owner alone; read again at every call; unset: none is sent",
    },
    hostTtl: {
      type: hostTtl,
      default: '20m',
      help: 'Names of a host that has not said for so long that it lives are not answered; hosts say it every 5 minutes',
    },
    reconcileInterval: {
      type: interval,
      default: '2s',
      help: "How often this host's containers are compared with what Corrosion was told of them",
    },
    allowedMountSources: {
      type: list(absolutePath),
      help: 'Paths of this host, comma-separated, that containers may mount from; unset: none',
    },
    reservedPorts: {
      type: list(integer(1, 65_535)),
      default: '6443',
      help: "Ports of this host that no container may publish, comma-separated, beside coold's own and WireGuard's: the broker's where one runs here",
    },
    builderEnabled: {
      type: boolean,
      default: 'false',
      help: 'Builds images for the broker; its token has to grant "builder"',
    },
    builderWorkDir: {
      type: unitPath,
      default: '/var/lib/coolify-builder/work',
      help: 'Holds a folder for each build until an hour after its result was read, or for 24 h',
    },
    builderCapacity: {
      type: integer(1, maxBuilderCapacity),
      default: '2',
      help: 'Builds at once; more wait in a queue',
    },
    builderBin: { type: unitPath, default: '/usr/local/bin/builder', help: 'The program that builds' },
    builderTimeoutSecs: {
      type: integer(1, 86_400),
      default: '1800',
      help: "Seconds that a build may take: its unit's RuntimeMaxSec",
    },
    builderMemoryMax: { type: memoryLimit, default: '2G', help: "Memory of one build: its unit's MemoryMax" },
    builderCpuQuota: { type: cpuQuota, default: '200%', help: "CPU time of one build: its unit's CPUQuota" },
    builderDiskMax: {
      type: diskLimit,
      default: '10G',
      help: 'Disk that one build may use, with what it adds to the storage of images; above it ends with 507',
    },
    builderCacheMax: {
      type: diskLimit,
      default: '5G',
      help: 'Disk for the layers that builds with a cache_key keep, all together; those unused for longest go first',
    },
    builderDenyNets: {
      type: list(network),
      default: '100.64.0.0/16,10.210.0.0/16',
      help: 'Networks that a build cannot reach, comma-separated, beside this host itself and what is link-local',
    },
    builderAllowNets: {
      type: list(ipv4Network),
      help: 'Networks that builds reach although they are not public, comma-separated: a private git server or registry; never this host, its containers or the mesh',
    },
    builderNet: {
      type: addressRange,
      default: '240.0.0.0/24',
      help: 'Addresses of builds on this host, which no route of it may lead to; they are seen on this host alone',
    },
    builderInsecureRegistries: {
      type: list(registry),
      help: 'Registries, comma-separated, that images may be pushed to without TLS, as registry.internal:5000; unset: none',
    },
    dnsZone: {
      type: domainName,
      default: 'coolify.internal',
      help: 'The zone of the mesh: <container>.<namespace>.<zone>',
    },
    dnsUpstream: {
      type: upstreams,
      default: '1.1.1.1:53',
      help: "The resolvers that are asked for every name outside the zone, comma-separated, the next when one does not answer; resolv.conf: this host's own",
    },
    dnsThreads: {
      type: integer(1, 16),
      default: '1',
      help: 'Threads that answer DNS over UDP, beside the main one; each takes some 10 MB, and more than one helps where cores are idle',
    },
    rulesPath: {
      type: absolutePath,
      default: '/etc/coolify/allow.rules',
      help: 'Snapshot of the allow rules for iptables-restore; journal and lock of the firewall lie beside it',
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
      help: 'The file that the scaffold is made of: what it says of the default deny is compared with what there is',
    },
    logLevel: { type: logFilter, default: 'info', help: 'Level or filter: info,coold.link=debug' },
  },
  check({ apiBind, apiTokenFile, tlsCert, tlsKey, dnsUpstream, namespaces, brokerReconnectEvery }) {
    if (
      brokerReconnectEvery !== undefined &&
      (brokerReconnectEvery < minReconnectMs || brokerReconnectEvery > maxReconnectMs)
    )
      return 'COOLD_BROKER_RECONNECT_EVERY is out of bounds: expected from 1m to 24d';
    if (apiBind !== undefined && apiTokenFile === undefined)
      return 'COOLD_API_TOKEN_FILE is not set: expected the path of a token, because COOLD_API_BIND is set';
    if ((tlsCert === undefined) !== (tlsKey === undefined))
      return `COOLD_TLS_${tlsCert === undefined ? 'CERT' : 'KEY'} is not set: expected both COOLD_TLS_CERT and COOLD_TLS_KEY, or neither`;
    for (const upstream of dnsUpstream) {
      const loop = loopsTo(upstream, namespaces);
      if (loop !== undefined && upstream !== 'resolv.conf')
        return `COOLD_DNS_UPSTREAM=${JSON.stringify(formatUpstream(upstream))}: expected another resolver than coold's own for namespace ${loop.name}`;
    }
    return undefined;
  },
});

export type CooldConfig = ConfigOf<typeof cooldCommand>;
