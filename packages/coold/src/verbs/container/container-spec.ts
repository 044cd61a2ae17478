import type { ContainersCreateRequest, PortMapping } from '@coold/proto';
import { maxAliases } from '../../discovery/containers/container-endpoint.ts';
import { isDnsLabel } from '../../discovery/endpoint.ts';
import { checkIpv4, checkLabels, checkName, checkRef, invalid } from '../names.ts';
import { checkContainerPath, checkEnv, checkStopTimeout, checkUser } from './container-values.ts';
import { type Allowed, applyDenyFilter } from './deny.ts';
import { healthConfig } from './health-config.ts';
import { denyReservedLabels } from './image-demands.ts';
import type { MountSources } from './mount-sources.ts';

/** What a namespace's network gives its containers when they name no resolver of their own. */
export interface NetworkDns {
  servers: string[];
  search: string[];
}

/** The part of libpod's SpecGenerator that coold reads. */
export interface ContainerSpec extends Record<string, unknown> {
  image: string;
  labels: Record<string, string>;
  /** A container's settings on each of its networks. */
  networks?: Record<string, NetworkEndpoint>;
}

/** libpod's PerNetworkOptions. */
export interface NetworkEndpoint {
  static_ips?: string[];
  aliases?: string[];
}

/**
 * Translates a create request (docs/contract.md §3) into libpod's SpecGenerator. Everything is validated here, and the
 * result is built from the parsed values; nothing is copied through.
 *
 * @param dnsOf called only when the request names no resolver
 * @throws VerbError 400 or 403 naming the field
 */
export async function containerSpec(
  request: ContainersCreateRequest,
  sources: MountSources,
  dnsOf: (networks: readonly string[]) => Promise<NetworkDns | undefined>,
): Promise<ContainerSpec> {
  // First, so that a denied setting is a 403 whatever else is wrong with the request.
  const allowed = applyDenyFilter(request);
  denyReservedLabels(request.labels);
  const spec: ContainerSpec = {
    image: checkRef(request.image, 'image'),
    name: checkName(request.name, 'name'),
    labels: checkLabels(request.labels, 'labels'),
    env: checkEnv(request.env, 'env'),
    ...isolation(request, allowed),
    ...process(request),
    ...resources(request),
  };
  const networks = networkNames(request);
  Object.assign(spec, network(request, networks));
  const { binds, volumes } = await mounts(request, sources);
  if (binds.length > 0) spec['mounts'] = binds;
  if (volumes.length > 0) spec['volumes'] = volumes;
  request.dns.forEach((address, index) => {
    checkIpv4(address, `dns[${index}]`);
  });
  request.dnsSearch.forEach((domain, index) => {
    if (!/^(?:\.|[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}))$/.test(domain))
      throw invalid(`dns_search[${index}]`, 'expected a domain');
  });
  const given = request.dns.length === 0 ? await dnsOf(networks) : undefined;
  const servers = given?.servers ?? request.dns;
  const search = request.dnsSearch.length > 0 ? request.dnsSearch : (given?.search ?? []);
  if (servers.length > 0) spec['dns_server'] = servers;
  if (search.length > 0) spec['dns_search'] = search;
  return spec;
}

function isolation(request: ContainersCreateRequest, allowed: Allowed): Record<string, unknown> {
  const namespaces = { pidns: request.pidMode, utsns: request.utsMode };
  return {
    privileged: false,
    // Podman's default is the host's namespace on cgroups v1.
    cgroupns: { nsmode: 'private' },
    // Podman's default depends on the program's name, and gives a program called /sbin/init writable cgroups.
    systemd: 'false',
    cap_add: allowed.capAdd,
    cap_drop: allowed.capDrop,
    sysctl: allowed.sysctls,
    ...(allowed.noNewPrivileges ? { no_new_privileges: true } : {}),
    ...(allowed.mask.length > 0 ? { mask: allowed.mask } : {}),
    ...(request.ipcMode === '' ? {} : { ipcns: { nsmode: request.ipcMode } }),
    ...Object.fromEntries(
      Object.entries(namespaces).flatMap(([key, mode]) => (mode === '' ? [] : [[key, { nsmode: mode }]])),
    ),
  };
}

function process(request: ContainersCreateRequest): Record<string, unknown> {
  const { command, entrypoint, user, workdir, stopSignal, stopTimeout, init, healthcheck } = request;
  const spec: Record<string, unknown> = {};
  for (const [field, words] of Object.entries({ command, entrypoint })) {
    if (words.some(word => word.includes('\0'))) throw invalid(field, 'expected text without NUL');
    if (words.length > 0) spec[field] = words;
  }
  if (user !== '') spec['user'] = checkUser(user, 'user');
  if (workdir !== '') spec['work_dir'] = checkContainerPath(workdir, 'workdir');
  if (stopSignal !== '') spec['stop_signal'] = signalNumber(stopSignal);
  if (stopTimeout !== undefined) spec['stop_timeout'] = checkStopTimeout(stopTimeout, 'stop_timeout');
  if (init === true) spec['init'] = true;
  if (healthcheck !== undefined) spec['healthconfig'] = healthConfig(healthcheck);
  if (request.restartPolicy !== '') Object.assign(spec, restartPolicy(request.restartPolicy));
  return spec;
}

function restartPolicy(policy: string): Record<string, unknown> {
  const match = /^(no|always|unless-stopped|on-failure)(?::([1-9][0-9]{0,5}))?$/.exec(policy);
  const [, name, tries] = match ?? [];
  if (name === undefined || (tries !== undefined && name !== 'on-failure'))
    throw invalid('restart_policy', 'expected no, always, unless-stopped, on-failure or on-failure:5');
  return { restart_policy: name, ...(tries === undefined ? {} : { restart_tries: Number(tries) }) };
}

/** The signals of Linux that stop a program. Others are refused. */
const signals: Record<string, number> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ABRT: 6,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  ALRM: 14,
  TERM: 15,
  WINCH: 28,
  PWR: 30,
};

function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const known = Object.hasOwn(signals, name) ? signals[name] : undefined;
  const rt = /^RTMIN\+(\d|[12]\d|30)$/.exec(name)?.[1];
  const number = known ?? (rt === undefined ? Number(/^\d{1,2}$/.exec(text)?.[0] ?? 0) : 34 + Number(rt));
  if (number < 1 || number > 64) throw invalid('stop_signal', 'expected a signal such as SIGTERM or 15');
  return number;
}

const cpuPeriodUs = 100_000;
/** Podman's own minimum. */
const leastMemory = 6 * 1024 * 1024;

function resources({ resources: given }: ContainersCreateRequest): Record<string, unknown> {
  if (given === undefined) return {};
  const { memory, cpus, pids } = given;
  const limits: Record<string, unknown> = {};
  if (memory !== undefined) {
    if (memory < leastMemory || memory > Number.MAX_SAFE_INTEGER)
      throw invalid('resources.memory', `expected at least ${leastMemory} bytes`);
    limits['memory'] = { limit: Number(memory) };
  }
  if (cpus !== undefined) {
    if (!(cpus >= 0.01 && cpus <= 4096)) throw invalid('resources.cpus', 'expected 0.01 to 4096');
    limits['cpu'] = { quota: Math.round(cpus * cpuPeriodUs), period: cpuPeriodUs };
  }
  if (pids !== undefined) {
    if (pids < 1) throw invalid('resources.pids', 'expected at least 1');
    limits['pids'] = { limit: pids };
  }
  return { resource_limits: limits };
}

function networkNames({ network: one, networks }: ContainersCreateRequest): string[] {
  if (one !== '' && networks.length > 0) throw invalid('networks', 'excludes network');
  if (one !== '') return [checkName(one, 'network')];
  const names = networks.map((name, index) => checkName(name, `networks[${index}]`));
  const repeated = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (repeated >= 0) throw invalid(`networks[${repeated}]`, 'is named twice');
  return names;
}

function network(request: ContainersCreateRequest, names: readonly string[]): Record<string, unknown> {
  const { networkMode, ip, networkAliases, ports } = request;
  if (networkMode === 'none') {
    for (const [field, there] of Object.entries({
      networks: names.length > 0,
      ip: ip !== '',
      network_aliases: networkAliases.length > 0,
      ports: ports.length > 0,
    }))
      if (there) throw invalid(field, 'has no use with network_mode "none"');
    return { netns: { nsmode: 'none' } };
  }
  if (ip !== '' && names.length !== 1) throw invalid('ip', 'needs exactly one network');
  if (networkAliases.length > 0 && names.length === 0) throw invalid('network_aliases', 'needs a network');
  const endpoint = {
    ...(ip === '' ? {} : { static_ips: [checkIpv4(ip, 'ip')] }),
    ...(networkAliases.length === 0 ? {} : { aliases: checkAliases(networkAliases) }),
  };
  return {
    netns: { nsmode: 'bridge' },
    ...(names.length === 0 ? {} : { networks: Object.fromEntries(names.map(name => [name, endpoint])) }),
    ...(ports.length === 0 ? {} : { portmappings: ports.map(portMapping) }),
  };
}

/** Each alias becomes a DNS name, so it has to be a valid label. */
function checkAliases(aliases: readonly string[]): string[] {
  if (aliases.length > maxAliases) throw invalid('network_aliases', `expected at most ${maxAliases} names`);
  return aliases.map((alias, index) => {
    if (!isDnsLabel(alias))
      throw invalid(
        `network_aliases[${index}]`,
        'expected a DNS label: 1 to 63 letters, digits, "-" and "_"',
      );
    return alias;
  });
}

function portMapping({ hostIp, hostPort, containerPort, protocol }: PortMapping, index: number) {
  const at = `ports[${index}]`;
  for (const [name, port] of Object.entries({ host_port: hostPort, container_port: containerPort }))
    if (port < 1 || port > 65_535) throw invalid(`${at}.${name}`, 'expected a port from 1 to 65535');
  if (!['', 'tcp', 'udp'].includes(protocol)) throw invalid(`${at}.protocol`, 'expected "tcp" or "udp"');
  return {
    host_port: hostPort,
    container_port: containerPort,
    protocol: protocol === '' ? 'tcp' : protocol,
    ...(hostIp === '' ? {} : { host_ip: checkIpv4(hostIp, `${at}.host_ip`) }),
  };
}

async function mounts({ mounts: given }: ContainersCreateRequest, sources: MountSources) {
  const binds: object[] = [];
  const volumes: object[] = [];
  const targets = new Set<string>();
  for (const [index, { source, target, readOnly }] of given.entries()) {
    const at = `mounts[${index}]`;
    const destination = checkContainerPath(target, `${at}.target`);
    if (destination === '/') throw invalid(`${at}.target`, 'expected a path below /');
    if (targets.has(destination)) throw invalid(`${at}.target`, 'is mounted twice');
    targets.add(destination);
    const access = readOnly ? ['ro'] : [];
    switch (source.case) {
      case 'volume':
        volumes.push({ Name: checkName(source.value, `${at}.volume`), Dest: destination, Options: access });
        break;
      case 'bind': {
        const path = await sources.resolve(source.value, `${at}.bind`);
        binds.push({ type: 'bind', source: path, destination, options: ['rbind', 'rprivate', ...access] });
        break;
      }
      case 'tmpfs':
        if (!source.value) throw invalid(`${at}.tmpfs`, 'expected true');
        binds.push({ type: 'tmpfs', source: 'tmpfs', destination, options: ['nosuid', 'nodev', ...access] });
        break;
      default:
        throw invalid(at, 'expected exactly one of volume, bind and tmpfs');
    }
  }
  return { binds, volumes };
}
