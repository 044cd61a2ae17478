import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateKeys, mintToken } from '@coold/broker/token';
import { installCorrosion } from './corrosion.ts';
import { eventually } from './eventually.ts';
import { loadBusyboxImage } from './images.ts';
import type { MeshHost } from './mesh.ts';
import { containerPool } from './mesh-plan.ts';
import { builtPackage } from './product.ts';
import { expectExec, HarnessError, type Host, type HostOrder, type Provider } from './provider.ts';

/** A host with the product installed; its name is its host id. */
export type FleetHost = MeshHost;

/** A fleet, installed, configured and started: the first host is central and a host, the others are hosts. */
export interface Fleet {
  central: FleetHost;
  hosts: FleetHost[];
  /** Posts a command from the central host to its broker.sock with PHP, as Laravel does. */
  dispatch(hostId: string, requestId: string, command?: object): Promise<Dispatched>;
  /** Returns when each host's stream began, by host id, according to the broker. */
  streams(): Promise<Record<string, string>>;
  /** Resolves when exactly these hosts have streams, with the ms that it took. */
  allConnected(timeoutMs: number): Promise<number>;
}

export interface Dispatched {
  status: number;
  body: { status: string; code?: number; message?: string; field?: string; data?: unknown };
  /** How long the caller waited, in ms. */
  ms: number;
}

const phpClient = fileURLToPath(new URL('../clients/dispatch.php', import.meta.url));
/** The sample unit that the package contains. */
const corrosionUnit = fileURLToPath(new URL('../../systemd/corrosion.service', import.meta.url));
const grpcPort = 6443;
const apiPort = 8443;
/** The group of PHP-FPM on Debian. */
export const laravelGroup = 'www-data';

/** Where a fleet's hosts come from, and how they are joined to a mesh. */
export interface Ground {
  provider: Provider;
  join: (hosts: readonly Host[], namespaces: readonly string[]) => Promise<MeshHost[]>;
}

export interface FleetOptions {
  /** Hosts that build, by name, each with its additional variables in coold.env. */
  builders?: Record<string, Record<string, string>>;
  /** Makes every host central too, or those in `on`. */
  brokers?: BrokersOptions;
  /** A shared folder with the unpacked package; by default each host unpacks its own. */
  unpacked?: string;
  /** Called with the hosts when they did not become a fleet; by default their journals go to stderr. */
  onFailure?: (hosts: readonly Host[]) => Promise<void>;
}

/** Several brokers. */
export interface BrokersOptions {
  /** The address that coolds dial instead of the central host's. */
  dialled: string;
  /** The hosts with a broker, including the first one; default all. */
  on?: readonly string[];
  /**
   * Returns a host's additional variables in broker.env; called once the hosts are a mesh, before anything is started.
   */
  configure(member: FleetHost): Promise<Record<string, string>>;
}

/** Boots hosts and makes a fleet of them. @throws HarnessError; the journals of our units go to stderr first */
export async function createFleet(
  { provider, join }: Ground,
  wanted: readonly (string | HostOrder)[],
  namespaces: readonly string[],
  options: FleetOptions = {},
): Promise<Fleet> {
  const source = options.unpacked === undefined ? await builtPackage() : { unpacked: options.unpacked };
  const up = await provider.up(wanted);
  try {
    const hosts = await join(up, namespaces);
    const [central] = hosts;
    if (central === undefined) throw new HarnessError('a fleet of no hosts');
    await setUp(hosts, central, source, options);
    const brokers = hosts.filter(member => hasBroker(member, central, options.brokers));
    const fleet = createControls(hosts, central, brokers);
    await fleet.allConnected(30_000);
    return fleet;
  } catch (error) {
    await (options.onFailure ?? printJournals)(up);
    throw error;
  }
}

async function setUp(
  hosts: readonly FleetHost[],
  central: FleetHost,
  source: PackageSource,
  { builders = {}, brokers }: FleetOptions,
): Promise<void> {
  const keys = generateKeys();
  const isCentral = (member: FleetHost) => hasBroker(member, central, brokers);
  await Promise.all(
    hosts.map(async member => {
      await Promise.all([install(member, source, isCentral(member)), loadBusyboxImage(member.host)]);
      await configure(member, keys, {
        brokerUrl: `grpc://${brokers?.dialled ?? `${central.mgmtIp}:${grpcPort}`}/v1/agent`,
        builder: builderOf(member, hosts, builders),
        broker: isCentral(member) ? ((await brokers?.configure(member)) ?? {}) : undefined,
      });
      await member.host.put({ file: corrosionUnit }, '/etc/systemd/system/corrosion.service', 0o644);
    }),
  );
  await installCorrosion(hosts, { schemas: {} }); // the package installed them
  await Promise.all(hosts.filter(isCentral).map(member => start(member, ['broker.service'])));
  await Promise.all(hosts.map(member => start(member, hostUnits)));
}

function hasBroker(member: FleetHost, central: FleetHost, brokers: BrokersOptions | undefined): boolean {
  if (member === central) return true;
  return brokers !== undefined && (brokers.on?.includes(member.name) ?? true);
}

/** Returns a host's variables for building: scenarios have git servers and registries on hosts, beside the mesh. */
function builderOf(
  { name }: FleetHost,
  hosts: readonly FleetHost[],
  builders: NonNullable<FleetOptions['builders']>,
): Record<string, string> | undefined {
  const given = builders[name];
  if (given === undefined) return undefined;
  return { COOLD_BUILDER_ALLOW_NETS: hosts.map(({ host }) => `${host.address}/32`).join(','), ...given };
}

function createControls(hosts: FleetHost[], central: FleetHost, brokers: FleetHost[]): Fleet {
  const fleet: Fleet = {
    central,
    hosts,
    async dispatch(hostId, requestId, command = { type: 'list_containers' }) {
      const body = JSON.stringify({ host_id: hostId, request_id: requestId, command });
      const begun = performance.now();
      const answer = await askLane(central, 'POST', '/v1/coold/dispatch', body);
      return { ...(answer as Omit<Dispatched, 'ms'>), ms: performance.now() - begun };
    },
    async streams() {
      const lists = await Promise.all(brokers.map(streamsOf));
      return Object.fromEntries(lists.flat().map(stream => [stream.host_id, stream.connected_at]));
    },
    async allConnected(timeoutMs) {
      const begun = performance.now();
      const wanted = hosts
        .map(({ name }) => name)
        .toSorted()
        .join();
      const all = async () =>
        Object.keys(await fleet.streams())
          .toSorted()
          .join() === wanted
          ? true
          : undefined;
      await eventually('every host to be connected', async () => await all().catch(() => undefined), {
        timeoutMs,
      });
      return performance.now() - begun;
    },
  };
  return fleet;
}

/** Returns the hosts that have streams to a host's broker. */
export async function streamsOf(broker: FleetHost): Promise<{ host_id: string; connected_at: string }[]> {
  const { body } = (await askLane(broker, 'GET', '/v1/streams')) as {
    body: { host_id: string; connected_at: string }[];
  };
  return body;
}

/** Prints the end of each host's journal of our units on stderr. */
export async function printJournals(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts)
    for (const unit of [
      'coold',
      'broker',
      'coolify-mesh-fw',
      'coolify-mesh-allow',
      'corrosion',
      'wg-quick@wg0',
      'podman',
    ]) {
      const text = await host.journal(unit).catch((error: Error) => error.message);
      process.stderr.write(`\n--- ${host.name}: ${unit}\n${text.split('\n').slice(-60).join('\n')}\n`);
    }
}

/** Every unit of the product on a host, in the order of their start. */
export const hostUnits = [
  'corrosion.service',
  'podman.socket',
  'coolify-mesh-fw.service',
  'coolify-mesh-allow.service',
  'coold.service',
];

/** The archive, or the folder with the unpacked package where hosts can see it. */
type PackageSource = string | { unpacked: string };

/** Copies the package to a host and installs it there. A second time it is an upgrade in place. */
export async function install({ host }: FleetHost, source: PackageSource, central: boolean): Promise<void> {
  await host.put({ file: phpClient }, '/root/dispatch.php', 0o644);
  const unpacked = typeof source === 'string' ? '/root/coold' : source.unpacked;
  if (typeof source === 'string') {
    await host.put({ file: source }, '/root/coold.tar.gz', 0o600);
    await expectExec(host, ['mkdir', '-p', unpacked]);
    await expectExec(host, ['tar', '-xzf', '/root/coold.tar.gz', '-C', unpacked, '--strip-components=1']);
  }
  await expectExec(host, [join(unpacked, 'install.sh'), '--role', central ? 'both' : 'host'], {
    timeoutMs: 120_000,
  });
  await expectExec(host, ['rm', '-rf', '/root/coold', '/root/coold.tar.gz']);
}

/** Writes what an operator or `coolify init` puts into /etc/coolify. */
async function configure(
  member: FleetHost,
  keys: ReturnType<typeof generateKeys>,
  {
    brokerUrl,
    builder,
    broker,
  }: {
    brokerUrl: string;
    builder: Record<string, string> | undefined;
    /** Undefined when this host has no broker. */
    broker: Record<string, string> | undefined;
  },
): Promise<void> {
  const { host, name, mgmtIp, namespaces } = member;
  const file = (content: string, path: string, mode: number) =>
    host.put(content, `/etc/coolify/${path}`, mode);
  const lines = (values: Record<string, string>) =>
    Object.entries(values)
      .map(([key, value]) => `${key}=${value}\n`)
      .join('');
  const token = await mintToken(keys.privateKey, {
    hostId: name,
    caps: builder === undefined ? ['coold'] : ['coold', 'builder'],
    ttlMs: 86_400_000,
  });
  await file(token, 'host-jwt', 0o600);
  const mesh = Object.entries(namespaces).map(
    ([namespace, { network, gateway }]) => `${namespace}:${network}:${gateway}`,
  );
  await file(
    lines({
      COOLD_HOST_MGMT_IP: mgmtIp,
      COOLD_BROKER_URL: brokerUrl,
      COOLD_NAMESPACES: mesh.join(','),
      COOLD_API_BIND: `${mgmtIp}:${apiPort}`,
      COOLD_API_TOKEN_FILE: '/etc/coolify/api-token',
      ...(builder === undefined ? {} : { COOLD_BUILDER_ENABLED: '1', ...builder }),
    }),
    'coold.env',
    0o600,
  );
  const subnets = Object.values(namespaces).map(({ subnet }) => subnet);
  await file(
    lines({ COOLD_SCAFFOLD_SUBNETS: subnets.join(','), COOLD_SCAFFOLD_POOLS: containerPool }),
    'mesh.env',
    0o600,
  );
  if (broker === undefined) return;
  await file(keys.publicKey, 'jwt.pub', 0o644);
  await file(lines({ BROKER_UNIX_SOCKET_GROUP: laravelGroup, ...broker }), 'broker.env', 0o600);
}

async function start({ host }: FleetHost, units: readonly string[]): Promise<void> {
  await expectExec(host, ['systemctl', 'enable', '--quiet', ...units]);
  await expectExec(host, ['systemctl', 'start', ...units], { timeoutMs: 60_000 });
}

/** Makes one HTTP call on the central host's broker.sock with PHP, and returns the JSON answer. */
export async function askLane({ host }: FleetHost, ...request: string[]): Promise<unknown> {
  const client = ['php', '/root/dispatch.php', '/run/coolify/broker.sock'] as const;
  return JSON.parse(await expectExec(host, [...client, ...request], { timeoutMs: 40_000 }));
}
