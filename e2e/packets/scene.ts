import { readFileSync } from 'node:fs';
import { type Command, operator } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost, type Ground } from '../harness/fleet.ts';
import { busyboxImage } from '../harness/images.ts';
import { heardFrom } from '../harness/mesh.ts';
import { containerPool } from '../harness/mesh-plan.ts';
import { expectExec, HarnessError, type Host, type HostSystem } from '../harness/provider.ts';
import {
  appNetwork,
  type ContainerName,
  containerAt,
  containersOn,
  type HostName,
  isHost,
  namespaces,
  type Place,
  strangeNetwork,
} from './places.ts';
import type { AddressKind } from './row.ts';
import { metricsPort } from './table.ts';

export type IptablesVariant = 'nft' | 'legacy';

/** The hosts and containers of the table, with the product installed. */
export interface Scene {
  fleet: Fleet;
  a: FleetHost;
  b: FleetHost;
  hosts: Record<HostName, Host>;
  /** Calls a verb that has to succeed, over REST on the host itself. */
  call(host: FleetHost, command: Command): Promise<unknown>;
  /** Returns the current addresses and processes. @throws HarnessError when a container does not run */
  look(): Promise<Where>;
  /** Resolves when containers run, coold is connected and the mesh is up, as far as expected. */
  settled(expected?: { coold?: boolean }): Promise<void>;
  /** The path of the prober on this machine, for hosts without it. */
  prober: string;
}

/** Addresses and processes at one moment. */
export interface Where {
  addressOf(place: Place, kind: AddressKind, seenFrom: Place): string;
  pidOf(place: Place): number;
}

/** The path of the prober on a host. */
const proberPath = '/root/prober.py';

export async function createScene(
  { provider, join }: Ground,
  system: HostSystem | undefined,
  iptables: IptablesVariant,
): Promise<Scene> {
  const ground: Ground = {
    provider,
    join: async (hosts, wanted) => {
      if (iptables === 'legacy') await Promise.all(hosts.map(useLegacyIptables));
      return await join(hosts, wanted);
    },
  };
  const fleet = await createFleet(
    ground,
    [
      { name: 'a', system },
      { name: 'b', system },
    ],
    namespaces,
  );
  const [a, b] = fleet.hosts;
  const [n] = await provider.up([{ name: 'n', system }]);
  if (a === undefined || b === undefined || n === undefined)
    throw new HarnessError('three hosts were asked for');
  const hosts = { a: a.host, b: b.host, n };
  const caller = operator();
  const scene: Scene = {
    fleet,
    a,
    b,
    hosts,
    prober: proberPath,
    async call(host, command) {
      const answer = await caller.call(host, command);
      if (answer.ok) return answer.data;
      throw new HarnessError(`${command.type} on ${host.name}: ${answer.code} ${answer.message}`);
    },
    look: () => look(fleet, hosts),
    async settled({ coold = true } = {}) {
      await Promise.all(fleet.hosts.map(({ host }) => heardFrom(host, 1, 30_000)));
      if (coold) await fleet.allConnected(90_000);
      await eventually(
        'every container to run',
        () =>
          look(fleet, hosts).catch(error => {
            if (error instanceof HarnessError) return undefined;
            throw error;
          }),
        { timeoutMs: 60_000, everyMs: 500 },
      );
    },
  };
  await setUp(scene);
  return scene;
}

/** @throws HarnessError when Debian's alternative is missing or the kernel lacks its tables */
async function useLegacyIptables(host: Host): Promise<void> {
  for (const name of ['iptables', 'ip6tables'])
    await expectExec(host, ['update-alternatives', '--set', name, `/usr/sbin/${name}-legacy`]);
  for (const table of ['filter', 'nat', 'mangle'])
    await expectExec(host, ['iptables', '-w', '-t', table, '-S']).catch((error: unknown) => {
      throw new HarnessError(`this kernel has no legacy table ${table} (CONFIG_IP_NF_*): ${String(error)}`);
    });
}

async function setUp(scene: Scene): Promise<void> {
  const { fleet, a, hosts } = scene;
  const prober = readFileSync(new URL('prober.py', import.meta.url));
  await Promise.all(Object.values(hosts).map(host => host.put(prober, proberPath, 0o644)));
  // A hostile neighbour: it routes the mesh's networks to host a.
  for (const network of [containerPool, appNetwork.subnet, '100.64.0.0/16'])
    await expectExec(hosts.n, ['ip', 'route', 'add', network, 'via', hosts.a.address]);
  await Promise.all(
    fleet.hosts.map(async member => {
      const env = (await member.host.get('/etc/coolify/mesh.env')).toString();
      const more = `COOLD_SCAFFOLD_API_PORTS=8443,${metricsPort}\n`;
      await member.host.put(`${env}${more}`, '/etc/coolify/mesh.env', 0o600);
      await expectExec(member.host, ['systemctl', 'restart', 'coolify-mesh-fw.service', 'coold.service']);
    }),
  );
  await fleet.allConnected(30_000);
  await scene.call(a, { type: 'networks.create', ...appNetwork });
  const strange = [
    'podman',
    'network',
    'create',
    '--disable-dns',
    '--subnet',
    strangeNetwork.subnet,
  ] as const;
  await expectExec(a.host, [...strange, strangeNetwork.name]);
  await Promise.all(
    fleet.hosts.map(async member => {
      for (const { name, spec } of containersOn(member.name === 'a' ? 'a' : 'b')) {
        const { networks, ports = [], byHand } = spec;
        if (byHand) {
          const run = ['podman', 'run', '--detach', '--restart', 'always', '--stop-timeout', '0'] as const;
          await expectExec(member.host, [...run, '--name', name, '--network', networks[0], busyboxImage]);
          continue;
        }
        await scene.call(member, {
          type: 'containers.create',
          name,
          image: busyboxImage,
          networks,
          ports,
          restart_policy: 'always',
          stop_timeout: 0,
        });
        await scene.call(member, { type: 'containers.start', id: name });
      }
    }),
  );
}

interface Inspected {
  Name: string;
  State: { Pid: number };
  NetworkSettings: {
    Networks: Record<string, { IPAddress: string; Gateway: string; MacAddress: string; IPPrefixLen: number }>;
  };
}

async function look(fleet: Fleet, hosts: Record<HostName, Host>): Promise<Where> {
  const found = new Map<Place, Inspected>();
  await Promise.all(
    fleet.hosts.map(async ({ name, host }) => {
      const here = containersOn(name === 'a' ? 'a' : 'b');
      const inspect = ['podman', 'inspect', '--type', 'container', ...here.map(it => it.name)] as const;
      const all = JSON.parse(await expectExec(host, inspect)) as Inspected[];
      for (const { place, name: container } of here) {
        const one = all.find(it => it.Name === container);
        if (one === undefined || one.State.Pid === 0)
          throw new HarnessError(`container ${place} does not run`);
        found.set(place, one);
      }
    }),
  );
  const inspected = (place: Place) => {
    const one = found.get(place);
    if (one === undefined) throw new HarnessError(`no container ${place}`);
    return one;
  };
  const networkOf = (place: ContainerName, number: number) => {
    const name = containerAt(place)?.networks[number] ?? '';
    const network = inspected(place).NetworkSettings.Networks[name];
    if (network === undefined || network.IPAddress === '')
      throw new HarnessError(`${place} has no address on ${name}`);
    return network;
  };
  const ofContainer = (place: ContainerName, kind: AddressKind): string => {
    switch (kind) {
      case 'own':
        return networkOf(place, 0).IPAddress;
      case 'second network':
        return networkOf(place, 1).IPAddress;
      case 'link-local':
        return linkLocalOf(networkOf(place, 0).MacAddress);
      case 'broadcast':
        return networkOf(place, 0).IPAddress.replace(/\d+$/, '255');
      case 'everyone':
        return '255.255.255.255';
      case 'underlay':
      case 'gateway':
        throw new HarnessError(`a container has no address of the kind ${kind}`);
    }
  };
  const mgmtIps: Record<string, string> = Object.fromEntries(fleet.hosts.map(it => [it.name, it.mgmtIp]));
  return {
    addressOf(place, kind, seenFrom) {
      if (!isHost(place)) return ofContainer(place, kind);
      if (kind === 'gateway')
        return isHost(seenFrom) ? gatewayOf(fleet, place) : networkOf(seenFrom, 0).Gateway;
      if (kind === 'underlay' || mgmtIps[place] === undefined) return hosts[place].address;
      return mgmtIps[place];
    },
    pidOf: place => (isHost(place) ? 0 : inspected(place).State.Pid),
  };
}

function gatewayOf(fleet: Fleet, name: HostName): string {
  const gateway = fleet.hosts.find(host => host.name === name)?.namespaces['default']?.gateway;
  if (gateway === undefined) throw new HarnessError(`host ${name} has no gateway of namespace default`);
  return gateway;
}

/** Returns the link-local address that the kernel derives from a MAC address (RFC 4291, appendix A). */
export function linkLocalOf(mac: string): string {
  const [first = 0, ...rest] = mac.split(':').map(part => Number.parseInt(part, 16));
  const bytes = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  const words = [0, 2, 4, 6].map(at => (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  return `fe80::${words.join(':')}`;
}
