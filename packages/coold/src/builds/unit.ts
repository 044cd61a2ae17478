import { dirname } from 'node:path';
import type { BuildableStack } from '@coold/builder-core';
import { type BuildNetwork, networkProperties } from './network/cable.ts';
import { isRequestId } from './request-id.ts';

/** What a build's unit is made of; every value was validated where it came from. */
export interface BuildUnit {
  requestId: string;
  /** Static builds run nothing from the repository, which allows a tighter sandbox. */
  stack: BuildableStack;
  /** `<COOLD_BUILDER_WORK_DIR>/<request_id>`, made before. */
  workFolder: string;
  network: BuildNetwork;
  config: BuilderConfig;
}

/** Of docs/contract.md §8, `COOLD_BUILDER_…`. */
export interface BuilderConfig {
  bin: string;
  timeoutSecs: number;
  /** In systemd's notation, as `2G`. */
  memoryMax: string;
  /** In systemd's notation, as `200%`. */
  cpuQuota: string;
  /** Networks a build does not reach, beside this host and what is link-local. */
  denyNets: readonly string[];
  /** Registries, as `host:port`, that a push may go to without TLS. */
  insecureRegistries?: readonly string[];
}

const unitPrefix = 'coolify-build-';
const unitSuffix = '.service';

/** docs/contract.md §7. A kernel without BPF does not enforce it; the network of its own is what keeps a build in. */
const alwaysDenied = ['127.0.0.1', '169.254.0.0/16', '::1/128', 'fc00::/7', 'fe80::/10'];

/** Where storage, its locks and networks live; a leading dash: need not be there. */
const storagePaths = ['/var/lib/containers', '-/run/containers', '-/run/netavark', '-/run/lock'];

/** @throws Error for what is no request_id: it would name a folder or unit that is none of ours */
export function buildUnitName(requestId: string): string {
  if (!isRequestId(requestId)) throw new Error(`${JSON.stringify(requestId)} is no request_id`);
  return `${unitPrefix}${requestId}${unitSuffix}`;
}

/** The request_id of a build's unit, undefined for a unit that is none. */
export function requestIdOfUnit(unit: string): string | undefined {
  if (!unit.startsWith(unitPrefix) || !unit.endsWith(unitSuffix)) return undefined;
  const requestId = unit.slice(unitPrefix.length, -unitSuffix.length);
  return isRequestId(requestId) ? requestId : undefined;
}

/** The unit's properties, each `Name=value`, in the order of docs/contract.md §7. */
export function buildUnitProperties({ requestId, stack, workFolder, network, config }: BuildUnit): string[] {
  const properties: [name: string, value: string][] = [
    ['RuntimeMaxSec', String(config.timeoutSecs)],
    ['MemoryMax', config.memoryMax],
    ['CPUQuota', config.cpuQuota],
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

/** What the builder is told of this host; validated, so that it is one word for systemd. */
function environmentProperties({ insecureRegistries = [] }: BuilderConfig): [name: string, value: string][] {
  if (insecureRegistries.length === 0) return [];
  return [['Environment', `COOLD_BUILDER_INSECURE_REGISTRIES=${insecureRegistries.join(',')}`]];
}

/**
 * What a step would own the host with, should it get out of its container: other programs' sockets, which no network of its
 * own keeps from it, the networks of other builds, and the host's keys. buildah itself needs none of it; /etc/ssh stays, where git finds its keys.
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
    // RUN needs namespaces, and its containers have no device cgroup of their own: a base image may hold a node of the
    // host's disk. Unpacking one is allowed (m), opening it is not. Other builds' requests may hold passwords of git.
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
 * The program that starts a build, stays with it, and ends with its exit code. Not collected when it fails: the unit's
 * `Result` says why (docs/contract.md §7).
 *
 * @throws Error for a path or request_id that systemd would read as something else
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

/** In a property a space or a colon ends a path, % and $ stand for something else, quotes and backslashes are read. */
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
