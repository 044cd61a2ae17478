import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, findProgram } from '@coold/testbed';
import { joinBrokerPeers } from '../harness/broker-peers.ts';
import { createFleet, type FleetHost } from '../harness/fleet.ts';
import type { LabHost } from '../harness/lab/host.ts';
import type { Lab } from '../harness/lab/lab.ts';
import { system } from '../harness/lab/system.ts';
import { joinMesh } from '../harness/mesh.ts';
import { builtPackage } from '../harness/product.ts';
import { HarnessError } from '../harness/provider.ts';
import { registryAddress, startDemoBalancer } from './beyond.ts';

/** A host of the demo: a member of the mesh with its lab host. */
export interface DemoHost extends Omit<FleetHost, 'host'> {
  host: LabHost;
  /** The id of its broker; undefined when it has none. */
  brokerId: string | undefined;
}

export interface Ground {
  /** The first two have a broker and build images. */
  hosts: readonly [DemoHost, DemoHost, DemoHost];
  corrosion: 'corrosion' | 'stand-in';
}

const names = ['host-1', 'host-2', 'host-3'] as const;
const withBroker: readonly string[] = ['host-1', 'host-2'];
const grpcPort = 6443;
/** As short as coold accepts, so that the demo shows a host that is gone. */
const hostTtl = '20s';

/**
 * Boots three hosts of the lab, joins them by WireGuard, and installs the package on all of them: two brokers behind a
 * TCP balancer, and a coold that builds on each.
 *
 * @param folder for the brokers' certificates and the package
 * @param cleanup receives what has to be stopped at the end
 * @param say called with each step, in a few words
 * @param goOn throws when the user wants to stop
 * @throws HarnessError
 */
export async function makeGround(
  lab: Lab,
  folder: string,
  cleanup: AsyncDisposableStack,
  say: (what: string) => void,
  goOn: () => void,
): Promise<Ground> {
  const { beyond } = lab;
  const authority = await createAuthority(folder);
  const unpacked = join(folder, 'package');
  say('unpack the installable package; the first time it is built');
  await mkdir(unpacked);
  await system('tar', ['-xzf', await builtPackage(), '-C', unpacked, '--strip-components=1'], {
    timeoutMs: 120_000,
  });
  goOn();
  say(`boot ${names.length} hosts: each with its own systemd, network, Podman and disk`);
  const up = await lab.up(names.map(name => ({ name, share: unpacked })));
  goOn();
  say('join them by WireGuard, install the package, start two brokers and three coolds');
  const registry = registryAddress(beyond);
  // Podman reads these files once, so they are written before its service starts.
  const plain = `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`;
  for (const host of up) await host.put(plain, '/etc/containers/registries.conf.d/demo.conf', 0o644);
  const builder = {
    COOLD_BUILDER_ALLOW_NETS: `${beyond.address}/32`,
    COOLD_BUILDER_INSECURE_REGISTRIES: registry,
    COOLD_HOST_TTL: hostTtl,
  };
  const backends = up.filter(({ name }) => withBroker.includes(name)).map(({ address }) => address);
  cleanup.use(await startDemoBalancer(beyond, backends, grpcPort));
  const fleet = await createFleet(
    { provider: { name: lab.name, up: async () => up, close: () => lab.close() }, join: joinMesh },
    names,
    ['default'],
    {
      builders: Object.fromEntries(names.map(name => [name, builder])),
      brokers: {
        dialled: `${beyond.address}:${grpcPort}`,
        on: withBroker,
        configure: member => joinBrokerPeers(authority, member, brokerOf(member.name)),
      },
      unpacked,
      // A Ctrl-C needs no explanation, and an error names what else went wrong.
      onFailure: async () => {},
    },
  );
  const [first, second, third] = fleet.hosts.map((member): DemoHost => {
    const host = up.find(({ name }) => name === member.name);
    if (host === undefined) throw new HarnessError(`no host ${member.name}`);
    const brokerId = withBroker.includes(member.name) ? brokerOf(member.name) : undefined;
    return { ...member, host, brokerId };
  });
  if (first === undefined || second === undefined || third === undefined)
    throw new HarnessError('three hosts were asked for');
  const real = findProgram('corrosion', process.env['PATH'] ?? '');
  return { hosts: [first, second, third], corrosion: real === undefined ? 'stand-in' : 'corrosion' };
}

function brokerOf(host: string): string {
  return host.replace('host', 'broker');
}

/** Returns a broker's socket as seen from this machine. @throws HarnessError when the host is off */
export function brokerSocket({ host }: DemoHost): string {
  return join(host.root(), 'run/coolify/broker.sock');
}

/** Returns a coold's local socket as seen from this machine. @throws HarnessError when the host is off */
export function cooldSocket({ host }: DemoHost): string {
  return join(host.root(), 'run/coolify/coold.sock');
}
