import { dirname } from 'node:path';
import type { BuildableStack } from '@coold/builder-core';
import { isRequestId } from '../folder/request-id.ts';
import { type BuildNetwork, networkProperties } from '../network/cable.ts';

/** The parts of a build's unit. Every value was validated where it entered coold. */
export interface BuildUnit {
  requestId: string;
  /** Static builds run nothing from the repository, which allows a tighter sandbox. */
  stack: BuildableStack;
  /** `<COOLD_BUILDER_WORK_DIR>/<request_id>`, which exists. */
  workFolder: string;
  network: BuildNetwork;
  config: BuilderConfig;
}

/** The configuration `COOLD_BUILDER_…` (docs/contract.md §8). */
export interface BuilderConfig {
  bin: string;
  timeoutSecs: number;
  /** In systemd's notation, for example `2G`. */
  memoryMax: string;
  /** In systemd's notation, for example `200%`. */
  cpuQuota: string;
  /** The disk limit of one build in the notation of the builder, for example `10G`. */
  diskMax: string;
  /** The limit of files of one build, for example `2000000`. */
  inodesMax: string;
  /** The disk limit of all kept layers together. */
  cacheMax: string;
  /** The networks that a build cannot reach, in addition to this host and link-local addresses. */
  denyNets: readonly string[];
  /** The registries, as `host:port`, that may be used without TLS. */
  insecureRegistries?: readonly string[];
}

const unitPrefix = 'coolify-build-';
const unitSuffix = '.service';

/** Addresses of IPAddressDeny (docs/contract.md §7). A kernel without BPF does not enforce it; the network namespace isolates a build anyway. */
const alwaysDenied = ['127.0.0.1', '169.254.0.0/16', '::1/128', 'fc00::/7', 'fe80::/10'];

/** The paths of the image storage, its locks and networks. A leading dash means that the path may be missing. */
const storagePaths = ['/var/lib/containers', '-/run/containers', '-/run/netavark', '-/run/lock'];

/** Returns the name of a build's unit. @throws Error for a text that is no request_id and could name another unit */
export function buildUnitName(requestId: string): string {
  if (!isRequestId(requestId)) throw new Error(`${JSON.stringify(requestId)} is no request_id`);
  return `${unitPrefix}${requestId}${unitSuffix}`;
}

/** Returns the request_id of a build's unit, undefined for another unit. */
export function requestIdOfUnit(unit: string): string | undefined {
  if (!unit.startsWith(unitPrefix) || !unit.endsWith(unitSuffix)) return undefined;
  const requestId = unit.slice(unitPrefix.length, -unitSuffix.length);
  return isRequestId(requestId) ? requestId : undefined;
}

/** Returns the properties of a build's unit as `Name=value`, in the order of docs/contract.md §7. */
export function buildUnitProperties({ requestId, stack, workFolder, network, config }: BuildUnit): string[] {
  const properties: [name: string, value: string][] = [
    ['RuntimeMaxSec', String(config.timeoutSecs)],
    ['MemoryMax', config.memoryMax],
    ['CPUQuota', config.cpuQuota],
    ...limitProperties(config),
    ['PrivateTmp', 'yes'],
    ['ProtectSystem', 'strict'],
    ['ProtectHome', 'yes'],
    ['ReadWritePaths', [plainPath(workFolder), ...storagePaths].join(' ')],
    ['NoNewPrivileges', 'yes'],
    ['LockPersonality', 'yes'],
    ['RestrictRealtime', 'yes'],
    ['SystemCallArchitectures', 'native'],
    ['IPAddressDeny', [...alwaysDenied, ...config.denyNets].join(' ')],
    ...networkProperties(requestId, { ...network, resolvConf: plainPath(network.resolvConf) }),
    ...environmentProperties(config),
    ...stackProperties(stack, plainPath(workFolder)),
  ];
  return properties.map(([name, value]) => `${name}=${value}`);
}

/** Returns the limits that systemd cannot enforce; the builder reads them from its environment. */
function limitProperties({ diskMax, inodesMax, cacheMax }: BuilderConfig): [name: string, value: string][] {
  const disk = `COOLD_BUILDER_DISK_MAX=${diskMax} COOLD_BUILDER_INODES_MAX=${inodesMax}`;
  return [['Environment', `${disk} COOLD_BUILDER_CACHE_MAX=${cacheMax}`]];
}

/** Returns settings of this host for the builder. They were validated to be one word for systemd. */
function environmentProperties({ insecureRegistries = [] }: BuilderConfig): [name: string, value: string][] {
  if (insecureRegistries.length === 0) return [];
  return [['Environment', `COOLD_BUILDER_INSECURE_REGISTRIES=${insecureRegistries.join(',')}`]];
}

/**
 * Paths that a step which escaped from its container could use to take over the host: sockets of other programs, which a
 * network namespace does not hide, networks of other builds, and keys of the host. buildah needs none of them. /etc/ssh
 * stays visible, since git finds its keys there.
 */
const hidden = [
  ...['/run/podman', '/run/docker.sock', '/run/containerd', '/run/dbus', '/run/systemd/private'],
  ...['/run/netns', '/run/systemd/resolve/io.systemd.Resolve'],
  ...['/run/coolify', '/etc/coolify', '/var/lib/corrosion', '/etc/wireguard', '/etc/shadow', '/etc/gshadow'],
];

function stackProperties(stack: BuildableStack, workFolder: string): [name: string, value: string][] {
  switch (stack) {
    case 'static':
      return [['RestrictNamespaces', 'mnt user']];
    // RUN needs namespaces. Its containers have no device cgroup of their own, and a base image may hold a device node of the
    // host's disk: creating such a node is allowed (m), opening it is not. Work folders of other builds may hold passwords.
    case 'dockerfile':
      return [
        ['DevicePolicy', 'closed'],
        ['DeviceAllow', 'char-* m'],
        ['DeviceAllow', 'block-* m'],
        ['InaccessiblePaths', hidden.map(path => `-${path}`).join(' ')],
        ['TemporaryFileSystem', `${dirname(workFolder)}:ro`],
        ['BindPaths', workFolder],
      ];
  }
}

/**
 * Returns the program that starts a build, runs as long as the build, and ends with its exit code. A failed unit stays loaded
 * (no --collect), so that its `Result` says why it failed (docs/contract.md §7).
 *
 * @throws Error for a path or request_id that systemd would interpret
 */
export function buildUnitCommand(unit: BuildUnit): { program: string; args: string[] } {
  const workFolder = plainPath(unit.workFolder);
  return {
    program: 'systemd-run',
    args: [
      ...['--pipe', '--quiet', `--unit=${buildUnitName(unit.requestId)}`],
      ...buildUnitProperties(unit).map(property => `--property=${property}`),
      ...['--', plainPath(unit.config.bin), `${workFolder}/request.json`, workFolder],
    ],
  };
}

/** Whether systemd reads an absolute path in a property unchanged. Spaces and colons end a path there, and %, $, quotes and backslashes are interpreted. */
export function isPlainPath(path: string): boolean {
  return /^(?:\/[A-Za-z0-9_.,@+-]+)+$/.test(path);
}

function plainPath(path: string): string {
  if (!isPlainPath(path))
    throw new Error(
      `${JSON.stringify(path)}: expected an absolute path of letters, digits and "_.,@+-", which systemd takes as it is`,
    );
  return path;
}
