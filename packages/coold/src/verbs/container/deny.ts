import { posix } from 'node:path';
import { VerbError } from '@coold/errors';
import type { ContainersCreateRequest } from '@coold/proto';

// The deny filter (docs/contract.md §3): whatever would let a container out of its isolation is a 403 naming the field.
// It allows what is known to be harmless and refuses the rest. Pure; `mount-sources.ts` checks the real paths of bind
// sources.

/**
 * The capabilities that every Podman since 4 gives by default. Some versions give more, which a caller has no need to
 * add.
 */
const defaultCapabilities = new Set([
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
]);

/** Kernel settings that each network namespace has for itself and that are safe to change there. */
const safeSysctls = new Set([
  'net.core.somaxconn',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);

/** Modes that keep a namespace private to the container, in addition to an absent value. */
const ownModes = {
  networkMode: ['network_mode', ['bridge', 'none']],
  pidMode: ['pid_mode', ['private']],
  ipcMode: ['ipc_mode', ['private', 'shareable', 'none']],
  utsMode: ['uts_mode', ['private']],
  usernsMode: ['userns_mode', []],
  cgroupnsMode: ['cgroupns_mode', ['private']],
} as const;

/** The parts of a create request that can loosen isolation, in the form that may be passed on. */
export interface Allowed {
  /** In Podman's form: `CAP_CHOWN`. */
  capAdd: string[];
  capDrop: string[];
  noNewPrivileges: boolean;
  mask: string[];
  sysctls: Record<string, string>;
}

/** @throws VerbError 403 for what is denied, 400 for what is not understood; both name the field */
export function applyDenyFilter(request: ContainersCreateRequest): Allowed {
  if (request.privileged) throw denied('privileged', 'is not allowed');
  for (const [key, [field, own]] of Object.entries(ownModes))
    checkMode(request[key as keyof typeof ownModes], field, own);
  if (request.network !== '') checkNetworkName(request.network, 'network');
  request.networks.forEach((name, index) => {
    checkNetworkName(name, `networks[${index}]`);
  });
  if (request.devices.length > 0) throw denied('devices[0]', 'no device of the host is given to a container');
  request.mounts.forEach(({ source, target }, index) => {
    if (source.case === 'volume' && /[/\\]/.test(source.value))
      throw denied(`mounts[${index}].volume`, 'is a path; a volume has a name');
    if (isOfKernel(target)) throw denied(`mounts[${index}].target`, "is the kernel's, not for mounts");
  });
  return {
    capAdd: request.capAdd.map((name, index) => addedCapability(name, `cap_add[${index}]`)),
    capDrop: request.capDrop.map((name, index) => droppedCapability(name, `cap_drop[${index}]`)),
    ...securityOptions(request.securityOpt),
    sysctls: checkSysctls(request.sysctls),
  };
}

/**
 * The modes of the host, another container or another process are denied in every spelling. Other values are not
 * understood.
 */
function checkMode(mode: string, field: string, own: readonly string[]): void {
  if (mode === '' || own.includes(mode)) return;
  if (/^\s*(?:host|container|ns|pod|path|keep-id|nomap|auto|slirp4netns|pasta)\b/i.test(mode))
    throw denied(field, `${quoted(mode)} is not allowed`);
  throw new VerbError(
    'invalid_request',
    `${field}: expected ${own.length === 0 ? 'nothing' : own.map(quoted).join(' or ')}`,
    { field },
  );
}

/** Refuses a network namespace mode in place of a network's name. */
function checkNetworkName(name: string, field: string): void {
  if (/^\s*(?:host|(?:container|ns|pod|slirp4netns|pasta)(?::.*)?)\s*$/is.test(name))
    throw denied(field, `${quoted(name)} is not a network`);
}

/**
 * Whether a mount there would hide what the runtime masks, or pose as the kernel. Handles `..`; `mount-targets.ts`
 * handles symlinks.
 */
export function isOfKernel(target: string): boolean {
  return /^\/(?:proc|sys)(?:\/|$)/.test(posix.normalize(`/${target}`));
}

/**
 * `chown`, `CAP_CHOWN` → `CHOWN`; undefined for anything else. ASCII letters only, so that no other letter is
 * case-folded into one.
 */
function capabilityName(text: string): string | undefined {
  return /^[A-Za-z0-9_]{1,64}$/.test(text) ? text.toUpperCase().replace(/^CAP_/, '') : undefined;
}

function addedCapability(text: string, field: string): string {
  const name = capabilityName(text);
  if (name === undefined || !defaultCapabilities.has(name))
    throw denied(field, `${quoted(text)} is not among those that Podman gives by default`);
  return `CAP_${name}`;
}

function droppedCapability(text: string, field: string): string {
  const name = capabilityName(text);
  if (name === undefined)
    throw new VerbError('invalid_request', `${field}: expected the name of a capability`, { field });
  return name === 'ALL' ? 'all' : `CAP_${name}`;
}

function securityOptions(options: readonly string[]): Pick<Allowed, 'noNewPrivileges' | 'mask'> {
  let noNewPrivileges = false;
  const mask: string[] = [];
  options.forEach((option, index) => {
    if (/^no-new-privileges(?:[:=]true)?$/.test(option)) noNewPrivileges = true;
    else if (/^mask=\/[^:\0]*$/.test(option)) mask.push(option.slice('mask='.length));
    else throw denied(`security_opt[${index}]`, `${quoted(option)} is not among what only tightens`);
  });
  return { noNewPrivileges, mask };
}

function checkSysctls(sysctls: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(sysctls)) {
    const field = `sysctls.${name}`;
    // The kernel accepts `net/core/somaxconn` as another spelling; only our spelling is allowed.
    if (!safeSysctls.has(name)) throw denied(field, "is not in the network namespace's safe set");
    if (!/^[0-9]+(?:[ \t][0-9]+)*$/.test(value))
      throw new VerbError('invalid_request', `${field}: expected whole numbers`, { field });
  }
  return sysctls;
}

export function denied(field: string, why: string): VerbError {
  return new VerbError('denied', `${field}: ${why}`, { field });
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
