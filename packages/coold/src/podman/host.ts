import { VerbError } from '@coold/errors';
import type { PodmanConnection } from './connection.ts';
import { networksOf } from './network-modes.ts';
import { count, list, number, object, text, texts } from './shape.ts';

/** Podman's facts about itself. */
export interface PodmanFacts {
  version: string;
  storageDriver: string;
  graphRoot: string;
  networkBackend: string;
  cgroupVersion: string;
}

export interface HostContainer {
  id: string;
  name: string;
  image: string;
  state: string;
  /** "unknown" without a healthcheck. */
  health: string;
  networks: string[];
  /** The address on each network where the container has one, by name of the network. */
  addresses: Record<string, string>;
  labels: Record<string, string>;
}

export interface ContainerStats {
  id: string;
  name: string;
  cpuPercent: number;
  memory: bigint;
  memoryLimit: bigint;
  netRx: bigint;
  netTx: bigint;
  blockRead: bigint;
  blockWrite: bigint;
  pids: bigint;
}

export interface PodmanHost {
  /** Asks for the version only: for all facts Podman starts a dozen programs, such as dpkg-query. */
  version(signal: AbortSignal): Promise<string>;
  facts(signal: AbortSignal): Promise<PodmanFacts>;
  containers(signal: AbortSignal): Promise<HostContainer[]>;
  /** Returns one snapshot of all containers. A container that does not run has zeros. */
  stats(signal: AbortSignal): Promise<ContainerStats[]>;
}

export function podmanHost(connection: PodmanConnection): PodmanHost {
  return {
    async version(signal) {
      const { headers } = await connection.libpodHead({ path: '/_ping' }, signal);
      return text(headers['libpod-api-version'], 'header Libpod-API-Version');
    },
    facts: async signal => readFacts(await connection.libpod({ path: '/info' }, signal)),
    async containers(signal) {
      const call = { path: '/containers/json', query: { all: true } };
      // Podman 4.3: addresses are in the compatible list alone, health in libpod's.
      const [compatible, libpod] = await Promise.all([
        connection.compatible(call, signal),
        connection.libpod(call, signal),
      ]);
      return readHostContainers(compatible, libpod);
    },
    async stats(signal) {
      const [stats, all] = await Promise.all([
        connection.libpod({ path: '/containers/stats', query: { stream: false } }, signal),
        connection.libpod({ path: '/containers/json', query: { all: true } }, signal),
      ]);
      return withIdle(readStats(stats), all);
    },
  };
}

function readFacts(answer: unknown): PodmanFacts {
  const info = object(answer, 'info');
  const version = object(info['version'], 'info.version');
  const store = object(info['store'], 'info.store');
  const host = object(info['host'], 'info.host');
  return {
    version: text(version['Version'], 'info.version.Version'),
    storageDriver: text(store['graphDriverName'], 'info.store.graphDriverName'),
    graphRoot: text(store['graphRoot'], 'info.store.graphRoot'),
    networkBackend: text(host['networkBackend'] ?? '', 'info.host.networkBackend'),
    cgroupVersion: text(host['cgroupVersion'] ?? '', 'info.host.cgroupVersion'),
  };
}

/** Joins two lists. A container in only one of them was created or removed in between and is left out. @throws VerbError 502 */
export function readHostContainers(compatible: unknown, libpod: unknown): HostContainer[] {
  const addressesById = new Map(
    list(compatible, 'containers').map((entry, index) => {
      const at = `containers[${index}]`;
      const container = object(entry, at);
      const settings = object(container['NetworkSettings'] ?? {}, `${at}.NetworkSettings`);
      const networks = networksOf(settings['Networks'], `${at}.NetworkSettings.Networks`);
      const addresses = networks.map(([name, value]) => {
        const where = `${at}.NetworkSettings.Networks.${name}`;
        return [name, text(object(value, where)['IPAddress'] ?? '', `${where}.IPAddress`)] as const;
      });
      return [text(container['Id'], `${at}.Id`), addresses] as const;
    }),
  );
  return list(libpod, 'containers').flatMap((entry, index) => {
    const at = `containers[${index}]`;
    const container = object(entry, at);
    const id = text(container['Id'], `${at}.Id`);
    const addresses = addressesById.get(id);
    if (addresses === undefined) return [];
    const names = list(container['Names'], `${at}.Names`);
    const health = text(container['Status'] ?? '', `${at}.Status`).toLowerCase();
    return [
      {
        id,
        name: text(names[0], `${at}.Names[0]`),
        image: text(container['Image'], `${at}.Image`),
        state: text(container['State'], `${at}.State`).toLowerCase(),
        health: health === '' ? 'unknown' : health,
        networks: addresses.map(([name]) => name).sort(),
        addresses: Object.fromEntries(addresses.filter(([, address]) => address !== '')),
        labels: texts(container['Labels'], `${at}.Labels`),
      },
    ];
  });
}

/** @throws VerbError 502 */
export function readStats(answer: unknown): ContainerStats[] {
  const report = object(answer, 'stats');
  const error = report['Error'];
  if (error !== null && error !== undefined)
    throw new VerbError('podman_failed', `podman: statistics failed: ${JSON.stringify(error).slice(0, 500)}`);
  return list(report['Stats'] ?? [], 'stats').map((entry, index) => {
    const at = `stats[${index}]`;
    const stats = object(entry, at);
    const bytes = (key: string) => count(stats[key], `${at}.${key}`);
    return {
      id: text(stats['ContainerID'], `${at}.ContainerID`),
      name: text(stats['Name'], `${at}.Name`),
      cpuPercent: number(stats['CPU'], `${at}.CPU`),
      memory: bytes('MemUsage'),
      memoryLimit: bytes('MemLimit'),
      ...traffic(stats, at),
      blockRead: bytes('BlockInput'),
      blockWrite: bytes('BlockOutput'),
      pids: bytes('PIDs'),
    };
  });
}

/** Returns the network traffic of a container. Podman 4 reports the sum of its interfaces, Podman 5 each of them. A container that does not run has none. */
function traffic(stats: Record<string, unknown>, at: string): Pick<ContainerStats, 'netRx' | 'netTx'> {
  if (!('Network' in stats))
    return {
      netRx: count(stats['NetInput'], `${at}.NetInput`),
      netTx: count(stats['NetOutput'], `${at}.NetOutput`),
    };
  const interfaces = Object.entries(object(stats['Network'] ?? {}, `${at}.Network`));
  const sum = (key: string) =>
    interfaces.reduce(
      (total, [name, one]) =>
        total + count(object(one, `${at}.Network.${name}`)[key], `${at}.Network.${name}.${key}`),
      0n,
    );
  return { netRx: sum('RxBytes'), netTx: sum('TxBytes') };
}

/** Podman 5 leaves out containers that do not run, Podman 4 gives them zeros. @throws VerbError 502 */
export function withIdle(stats: readonly ContainerStats[], all: unknown): ContainerStats[] {
  const told = new Set(stats.map(({ id }) => id));
  const idle = list(all, 'containers').flatMap((entry, index): ContainerStats[] => {
    const at = `containers[${index}]`;
    const container = object(entry, at);
    const id = text(container['Id'], `${at}.Id`);
    if (told.has(id)) return [];
    const name = text(list(container['Names'], `${at}.Names`)[0], `${at}.Names[0]`);
    return [{ id, name, cpuPercent: 0, memory: 0n, memoryLimit: 0n, ...nothingCarried, pids: 0n }];
  });
  return [...stats, ...idle];
}

const nothingCarried = { netRx: 0n, netTx: 0n, blockRead: 0n, blockWrite: 0n };
