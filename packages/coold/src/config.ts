import {
  absolutePath,
  boolean,
  type ConfigOf,
  defineCommand,
  integer,
  ipv4,
  list,
  logFilter,
  oneAddress,
} from '@coold/runtime';
import { cpuQuota, memoryLimit, network, unitPath } from './builds/builder-values.ts';
import { brokerUrl } from './link/broker-url.ts';

/** Every variable and flag of `coold` (CONTRACT §8). */
export const cooldCommand = defineCommand({
  name: 'coold',
  envPrefix: 'COOLD_',
  summary: 'the per-host agent: runs what the broker asks for on the Podman of this host',
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
    grpcDisabled: { type: boolean, default: 'false', help: 'No stream to the broker, whatever its URL' },
    apiBind: {
      type: oneAddress,
      help: 'One address and port to serve the REST API on, for example 100.64.0.5:8443; unset: no REST API, and status and metrics are on /run/coolify/coold.sock',
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
    podmanSocket: { type: absolutePath, default: '/run/podman/podman.sock', help: "Podman's API socket" },
    allowedMountSources: {
      type: list(absolutePath),
      help: 'Paths of this host, comma-separated, that containers may mount from; unset: none',
    },
    builderEnabled: {
      type: boolean,
      default: 'false',
      help: 'Builds images for the broker; its token has to grant "builder"',
    },
    builderWorkDir: {
      type: unitPath,
      default: '/var/lib/coolify-builder/work',
      help: 'Holds a folder for each build until its result was read, or for 24 h',
    },
    builderCapacity: { type: integer(1, 64), default: '2', help: 'Builds at once; more wait in a queue' },
    builderBin: { type: unitPath, default: '/usr/local/bin/builder', help: 'The program that builds' },
    builderTimeoutSecs: {
      type: integer(1, 86_400),
      default: '1800',
      help: "Seconds that a build may take: its unit's RuntimeMaxSec",
    },
    builderMemoryMax: { type: memoryLimit, default: '2G', help: "Memory of one build: its unit's MemoryMax" },
    builderCpuQuota: { type: cpuQuota, default: '200%', help: "CPU time of one build: its unit's CPUQuota" },
    builderDenyNets: {
      type: list(network),
      default: '100.64.0.0/16,10.210.0.0/16',
      help: 'Networks that a build cannot reach, comma-separated, beside this host itself and what is link-local',
    },
    logLevel: { type: logFilter, default: 'info', help: 'Level or filter: info,coold.link=debug' },
  },
  check({ apiBind, apiTokenFile, tlsCert, tlsKey }) {
    if (apiBind !== undefined && apiTokenFile === undefined)
      return 'COOLD_API_TOKEN_FILE is not set: expected the path of a token, because COOLD_API_BIND is set';
    if ((tlsCert === undefined) !== (tlsKey === undefined))
      return `COOLD_TLS_${tlsCert === undefined ? 'CERT' : 'KEY'} is not set: expected both COOLD_TLS_CERT and COOLD_TLS_KEY, or neither`;
    return undefined;
  },
});

export type CooldConfig = ConfigOf<typeof cooldCommand>;
